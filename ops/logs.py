"""`webstack lab logs`: a host's journal and the logs that its servers write into files, from outside where nobody follows them."""

from collections.abc import Callable
from enum import Enum

from lab.lab_handle import LabHandle
from ops import hosts
from ops.errors import UserError
from stack.roles import SPECS


class LogSource(Enum):
    """What of a host is shown. The value of a file: its path on the host, which role has it, what it is."""

    JOURNAL = ("", "", "the journal")
    ACCESS = ("/var/log/nginx/access.log", "web", "Nginx's access log")
    SLOW = ("/var/log/mysql/slow-queries", "database", "MySQL's log of slow statements")


def log_command(
    session: LabHandle,
    name_or_id: str,
    *,
    source: LogSource = LogSource.JOURNAL,
    instance: str | None = None,
    unit: str | None = None,
    since: str | None = None,
    lines: int = 200,
    follow: bool = False,
    on_progress: Callable[[str], None],
) -> list[str]:
    """The command line that shows a host's log. Raises UserError where there is no such host or log, or options do not go together.

    What is not followed is read from outside, whether the host runs or not. What is followed is read on the host: nothing outside is
    told of what is written there.
    """
    path, role, what = source.value
    if path and (unit or since):
        raise UserError(f"--unit and --since select journal entries, and {what} is a file: leave them out, or use --lines")
    host = hosts.resolve(session, name_or_id, instance, on_progress)
    if path and host.role != role:
        known = {spec.name: spec.label for spec in SPECS}
        raise UserError(f"{host.name} is {known.get(host.role, 'a host of no role')}: {what} is on {known[role].removeprefix('a ')}s")
    count = str(lines) if lines else "all"
    if follow:
        tail = ["tail", "-n", str(lines) if lines else "+1", "-F", path]
        return hosts.nsenter_command(session, host.instance_id, tail if path else _journal(unit, since, count, "--follow"))
    outside = session.names.machine_dir(host.instance_id) / "upper"
    if not path:
        journal = ("--directory", str(outside / "var" / "log" / "journal"))
        if since is None or not lines:
            return _journal(unit, since, count, *journal)
        # With a time journalctl of systemd 252, which this machine may have, counts lines from there on and not from the end.
        return ["sh", "-c", 'count=$1; shift; "$@" | tail -n "$count"', "sh", count, *_journal(unit, since, "all", *journal)]
    file = outside / path.lstrip("/")
    if not file.exists():
        raise UserError(f"{host.name} has no {path} yet: nothing was written to it")
    return ["tail", "-n", str(lines) if lines else "+1", str(file)]


def _journal(unit: str | None, since: str | None, count: str, *more: str) -> list[str]:
    chosen = [*(("--unit", unit) if unit else ()), *(("--since", since) if since else ())]
    return ["journalctl", "--no-pager", *more, *chosen, "--lines", count]
