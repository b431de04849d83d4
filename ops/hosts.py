"""The lab's hosts, as the command line shows and reaches them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from rich.table import Table
from rich.text import Text

from lab import control
from lab.session import Session
from ops.failures import UserError


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host of the lab. Addresses are empty where it has none; `reason` says why it is not ready, `problems` what else is wrong."""

    name: str
    role: str
    zone: str
    private_ip: str
    public_ip: str
    instance_id: str
    state: str
    ready: bool
    reason: str
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Host":
        """Reads what the daemon says of a host."""
        text = {name: str(row.get(name) or "") for name in cls.__dataclass_fields__ if name not in ("ready", "problems")}
        problems = cast("list[object]", row.get("problems") or [])
        return cls(ready=bool(row.get("ready")), problems=tuple(map(str, problems)), **text)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def rows(session: Session) -> list[Host]:
    """All hosts, by name. Raises ControlError where the daemon does not answer."""
    return rows_of(control.status(session.names))


def rows_of(said: Mapping[str, Any]) -> list[Host]:
    """The hosts in what the daemon says of its lab, by name."""
    return sorted((Host.of(row) for row in said["hosts"]), key=lambda host: (host.name, host.instance_id))


def troubles(said: Mapping[str, Any]) -> list[str]:
    """What is wrong in the lab besides hosts that are not ready: an API that cannot be followed, what cannot be obeyed of it."""
    everyone = rows_of(said)
    found = [str(said["problem"])] if said["problem"] else []
    for text in said["rule_problems"]:
        concerned = ", ".join(sorted({host.name for host in everyone if text in host.problems}))
        found.append(f"{concerned or 'no host'}: {text}")
    for host in everyone:
        found += [f"{host.name}: {text}" for text in host.problems if text not in said["rule_problems"]]
    return found


def table(hosts: Sequence[Host]) -> Table:
    """The hosts as a table for people."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("host", "role", "zone", "private ip", "public ip", "instance", "state", "ready"):
        result.add_column(heading, no_wrap=heading != "ready")
    for host in hosts:
        ready = Text("yes", "green") if host.ready else Text.assemble(("no", "red"), f" {host.reason}".rstrip())
        result.add_row(host.name, host.role, host.zone, host.private_ip, host.public_ip, host.instance_id, host.state, ready)
    return result


def url(session: Session) -> str:
    """The URL that the lab's load balancer serves on. Raises UserError where there is none."""
    for host in rows(session):
        if host.role == "load_balancer" and host.public_ip:
            return f"https://{host.public_ip}/"
    raise UserError("no load balancer of this lab has a public address yet; see `webstack lab status`")


def find(session: Session, wanted: str) -> Host:
    """The host of that name or instance id; of several the one that is not leaving. Raises UserError with the names there are."""
    everyone = rows(session)
    found = [host for host in everyone if wanted in (host.name, host.instance_id)]
    if not found:
        names = ", ".join(host.name for host in everyone) or "none"
        raise UserError(f"host {wanted!r}: this lab has no such host. Hosts: {names}")
    return min(found, key=lambda host: host.state not in ("running", "pending"))


def enter_command(session: Session, wanted: str, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` on a running host. Raises UserError where it is not running."""
    host = find(session, wanted)
    pid = control.leader(session.names, host.instance_id)
    if pid is None:
        raise UserError(f"{wanted} is {host.state}: nothing can be run there. Start it: webstack lab start {wanted}")
    # A shell forks, and not nsenter: a shutdown stops every process of the guest for a moment, nsenter would stop with its own for good,
    # and a process that nobody reaps keeps the guest from ending. It also changes the folder: nsenter's --wd opens this machine's.
    shell = ["sh", "-c", 'trap : INT; cd /root && "$@"; exit $?', "sh"]
    return ["nsenter", "--no-fork", "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--", *shell, *command]


def journal_command(session: Session, wanted: str, *, unit: str | None, lines: int) -> list[str]:
    """The command line that shows a host's journal from outside, running or not."""
    host = find(session, wanted)
    folder: Path = session.names.machine_dir(host.instance_id) / "upper" / "var" / "log" / "journal"
    command = ["journalctl", "--no-pager", "--directory", str(folder)]
    if unit:
        command += ["--unit", unit]
    return [*command, "--lines", str(lines) if lines else "all"]
