"""systemd units as this stack handles them: started by webstack.target alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from webstack_host import files
from webstack_host.run import run

UNITS = Path("/etc/systemd/system")
TARGET = "webstack.target"
REPORTER = "webstack-report.service"
"""Tells of this host once it serves: begun by each boot's webstack-configure, which tells until then."""
FIREWALL = "webstack-firewall.service"
"""Of load balancers and database hosts: puts the rules of /etc/webstack/firewall.nft in force before what they guard begins."""
UPGRADE_TIMER = "webstack-upgrade.timer"
"""Installs security upgrades at this host's own time, from when it serves on."""
UPGRADE_DROP_IN = Path("/run/systemd/system/webstack-upgrade.timer.d/at.conf")
VENDOR_UPGRADE_UNITS = ("apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service")
"""Debian's own way to the same, at the same time on all hosts; its image has all three enabled. The service holds up a shutdown until an
upgrade has ended, as the stack's own unit does."""


def disable_vendor_units(*units: str) -> None:
    """Takes the units that Debian's packages enable (and perhaps have started) out of the boot; webstack.target starts them instead."""
    enabled = [
        unit
        for unit in units
        if any((UNITS / wants / unit).is_symlink() for wants in ("multi-user.target.wants", "sysinit.target.wants", "timers.target.wants"))
    ]
    if enabled:
        run(["systemctl", "disable", "--now", *enabled])


def daemon_reload() -> None:
    """Makes systemd read units anew: the bundle brings them. It took a boot a quarter to half a second each time (in the lab)."""
    run(["systemctl", "daemon-reload"])


def is_active(unit: str) -> bool:
    """Whether a unit runs."""
    return run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0


def restart_if_running(*units: str) -> None:
    """Restarts the units among these that run already: their configuration changed under them."""
    if running := [unit for unit in units if is_active(unit)]:
        run(["systemctl", "restart", *running])


def reload_if_running(*units: str) -> None:
    """Reloads the units among these that run already: connections in flight are kept."""
    if running := [unit for unit in units if is_active(unit)]:
        run(["systemctl", "reload", *running])


def start_target() -> None:
    """Starts the target: all services of this host. A service that does not start is found by the role's check."""
    run(["systemctl", "start", "--no-block", TARGET])


def start_reporting() -> None:
    """Lets the reporter tell of this host from now on."""
    run(["systemctl", "start", "--no-block", REPORTER])


def schedule_upgrades(calendar: str) -> None:
    """Sets this host's own time for upgrades, a time of systemd.time(7), from the next `daemon_reload` on."""
    files.write(UPGRADE_DROP_IN, f"[Timer]\nOnCalendar=\nOnCalendar={calendar}\n")


def enable_upgrades() -> None:
    """Lets this host install upgrades from now on, each day at its time."""
    run(["systemctl", "start", UPGRADE_TIMER])


def stop_reporting() -> None:
    """Ends the reporter where it runs: a record has one writer at a time."""
    run(["systemctl", "stop", REPORTER], check=False)


def target_services() -> list[str]:
    """The services that the target wants."""
    wanted = run(["systemctl", "show", "--property=Wants", "--value", TARGET], check=False).stdout.split()
    return sorted(name for name in wanted if name.endswith(".service"))


def show(units: Sequence[str], properties: Sequence[str]) -> dict[str, dict[str, str]]:
    """What systemd says of each unit, by its name. A unit that it does not know has the properties of one that never ran."""
    if not units:
        return {}
    output = run(["systemctl", "show", f"--property={','.join(('Id', *properties))}", *units], check=False).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n")]
    return {block["Id"]: block for block in blocks if block.get("Id")}


def failed_unit_logs() -> list[str]:
    """For each failed unit its name and the last lines of its log."""
    listed = run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"], check=False).stdout
    lines: list[str] = []
    for unit in (line.split()[0] for line in listed.splitlines() if line.strip()):
        lines += [f"{unit} failed", *journal([unit], 6)]
    return lines


def journal(units: Iterable[str], count: int) -> list[str]:
    """The last `count` lines that these units logged during this boot, without the frames of tracebacks, which would hide the errors."""
    chosen = [option for unit in units for option in ("--unit", unit)]
    done = run(["journalctl", "--boot", "--quiet", "--no-pager", "--output=cat", f"--lines={10 * count}", *chosen], check=False)
    return [line for line in done.stdout.splitlines() if line.strip() and not line.startswith((" ", "Traceback ", "During handling "))][
        -count:
    ]
