"""Controls this stack's systemd units, which only webstack.target starts."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from webstack_host import files
from webstack_host.run import run

UNITS = Path("/etc/systemd/system")
TARGET = "webstack.target"
REPORTER = "webstack-report.service"
"""Publishes the host's state once it serves. webstack-configure, which does so until then, starts it."""
FIREWALL = "webstack-firewall.service"
"""On load balancers and database hosts: loads /etc/webstack/firewall.nft before the services that it protects start."""
UPGRADE_TIMER = "webstack-upgrade.timer"
"""Installs security upgrades at this host's own time, once it serves."""
UPGRADE_DROP_IN = Path("/run/systemd/system/webstack-upgrade.timer.d/at.conf")
VENDOR_UPGRADE_UNITS = ("apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service")
"""Debian's own units for upgrades, which run at the same time on all hosts; its image has all three enabled. The service delays a shutdown
until an upgrade has ended, as the stack's own unit does."""


def disable_vendor_units(*units: str) -> None:
    """Disables the units that Debian's packages enable, and stops them if they run; webstack.target starts them instead."""
    enabled = [
        unit
        for unit in units
        if any((UNITS / wants / unit).is_symlink() for wants in ("multi-user.target.wants", "sysinit.target.wants", "timers.target.wants"))
    ]
    if enabled:
        run(["systemctl", "disable", "--now", *enabled])


def daemon_reload() -> None:
    """Makes systemd read the units that the bundle installs. Each call took a boot a quarter to half a second (in the lab)."""
    run(["systemctl", "daemon-reload"])


def is_active(unit: str) -> bool:
    """Whether a unit runs."""
    return run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0


def restart_if_running(*units: str) -> None:
    """Restarts those of these units that run, because their configuration changed."""
    if running := [unit for unit in units if is_active(unit)]:
        run(["systemctl", "restart", *running])


def reload_if_running(*units: str) -> None:
    """Reloads those of these units that run; open connections are kept."""
    if running := [unit for unit in units if is_active(unit)]:
        run(["systemctl", "reload", *running])


def start_target() -> None:
    """Starts the target with all services of this host. The role's check finds a service that does not start."""
    run(["systemctl", "start", "--no-block", TARGET])


def start_reporting() -> None:
    """Starts the reporter."""
    run(["systemctl", "start", "--no-block", REPORTER])


def schedule_upgrades(calendar: str) -> None:
    """Sets this host's own time for upgrades (systemd.time(7)), effective from the next `daemon_reload`."""
    files.write(UPGRADE_DROP_IN, f"[Timer]\nOnCalendar=\nOnCalendar={calendar}\n")


def enable_upgrades() -> None:
    """Starts the timer that installs upgrades each day at this host's time."""
    run(["systemctl", "start", UPGRADE_TIMER])


def stop_reporting() -> None:
    """Stops the reporter if it runs: a record has one writer at a time."""
    run(["systemctl", "stop", REPORTER], check=False)


def target_services() -> list[str]:
    """Returns the services that the target wants."""
    wanted = run(["systemctl", "show", "--property=Wants", "--value", TARGET], check=False).stdout.split()
    return sorted(name for name in wanted if name.endswith(".service"))


def show(units: Sequence[str], properties: Sequence[str]) -> dict[str, dict[str, str]]:
    """Returns properties of each unit, by unit name. A unit that systemd does not know has those of one that never ran."""
    if not units:
        return {}
    output = run(["systemctl", "show", f"--property={','.join(('Id', *properties))}", *units], check=False).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n")]
    return {block["Id"]: block for block in blocks if block.get("Id")}


def failed_unit_logs() -> list[str]:
    """Returns the name and the last log lines of each failed unit."""
    listed = run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager"], check=False).stdout
    lines: list[str] = []
    for unit in (line.split()[0] for line in listed.splitlines() if line.strip()):
        lines += [f"{unit} failed", *journal([unit], 6)]
    return lines


def journal(units: Iterable[str], count: int) -> list[str]:
    """Returns the last `count` lines that these units logged in this boot, without traceback frames, which would hide the errors."""
    chosen = [option for unit in units for option in ("--unit", unit)]
    done = run(["journalctl", "--boot", "--quiet", "--no-pager", "--output=cat", f"--lines={10 * count}", *chosen], check=False)
    return [line for line in done.stdout.splitlines() if line.strip() and not line.startswith((" ", "Traceback ", "During handling "))][
        -count:
    ]
