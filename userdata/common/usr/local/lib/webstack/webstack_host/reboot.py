"""Reboots the host if an upgrade needs it: on the configured day, after its own upgrades, and while all others of its tier serve."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from webstack_host import config, peers
from webstack_host.run import run
from webstack_host.variables import HostVariables

REQUIRED = Path("/run/reboot-required")
"""Created by /etc/kernel/postinst.d/unattended-upgrades when a kernel is installed."""
PACKAGES = Path("/run/reboot-required.pkgs")
PROC = Path("/proc")


def reasons() -> list[str]:
    """Returns what needs a reboot: packages, and programs that use a file which an upgrade has replaced; empty if nothing does."""
    packages = sorted(set(PACKAGES.read_text().split())) if PACKAGES.exists() else []
    return [*(packages or (["something installed"] if REQUIRED.exists() else [])), *sorted(_outdated())]


def _outdated() -> set[str]:
    """Returns the names of programs that still map a deleted file in /usr (proc_pid_maps(5)), such as a library's old version."""
    found: set[str] = set()
    for maps in PROC.glob("[0-9]*/maps"):
        try:
            mapped = [line.split(maxsplit=5) for line in maps.read_text().splitlines()]
            if any("x" in fields[1] and fields[-1].startswith("/usr/") and fields[-1].endswith(" (deleted)") for fields in mapped):
                found.add((maps.parent / "comm").read_text().strip())
        except OSError:  # it has ended
            continue
    return found


def is_due(variables: HostVariables, now: datetime) -> bool:
    """Whether this is a day on which this host may reboot."""
    return variables.reboot_day in ("daily", f"{now:%A}".lower())


def main() -> int:
    """Reboots if needed and allowed; otherwise prints why not. The timer tries again the next day."""
    variables, causes = config.load_common(), reasons()
    if not causes:
        print("no reboot is needed")
        return 0
    print(f"a reboot is needed by {', '.join(causes)}", flush=True)
    if not is_due(variables, datetime.now(UTC)):
        print(f"it is put off: patching.rebootDay is {variables.reboot_day or 'never'}")
        return 0
    try:
        records = peers.peer_records()
    except Exception as error:
        print(f"it is put off: nobody tells whether the others of this tier serve: {error}", file=sys.stderr)
        return 1
    if variables.host not in records or not all(record.is_serving for record in records.values()):
        waited = [str(record) for record in records.values() if not record.is_serving] or [f"{variables.host} has told nothing"]
        print(f"it is put off: {'; '.join(waited)}", file=sys.stderr)
        return 1
    print(f"all of this tier serve ({', '.join(sorted(records))}): rebooting", flush=True)
    run(["systemctl", "reboot"])
    return 0
