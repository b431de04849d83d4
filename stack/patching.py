"""When each host installs security upgrades: arithmetic by which no two hosts of a tier do it at once."""

from typing import Final

from stack.sections import PatchingSettings

HOURS: Final = 24
STAGGER_MINUTES: Final = 5
"""Between two web hosts that share an hour: from the 25th on they begin anew. 250 hosts take 55 minutes of it."""


def upgrade_schedule(settings: PatchingSettings, number: int, *, second_host_first: bool) -> str:
    """A host's own time in the day, as systemd.time(7) has it; empty where it installs nothing.

    By its number alone: another count of hosts moves none. `second_host_first` is for pairs, as in every change of the stack.
    """
    if not settings.upgrades:
        return ""
    turn, place = divmod(2 - number if second_host_first else number - 1, HOURS)
    return f"*-*-* {(settings.hour + place) % HOURS:02}:{turn * STAGGER_MINUTES:02} UTC"


def reboot_day(settings: PatchingSettings) -> str:
    """The day of reboots, as hosts are told it; empty for never."""
    return "" if settings.reboot_day == "never" or not settings.upgrades else settings.reboot_day
