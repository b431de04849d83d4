"""The lab's hosts, as the command line shows and reaches them."""

import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from lab import control_client
from lab.errors import LabError
from lab.lab_handle import LabHandle
from ops.errors import UserError
from stack.readiness_record import MAX_FACT_LENGTH
from stack.sanitize import sanitize

_TEXT_FIELDS = ("name", "role", "zone", "private_ip", "public_ip", "instance_id", "state", "reason", "message")

_SHOWN_ELSEWHERE = frozenset({"role", "replication", "elastic_ip", "servers_up", "waiting_for"})
"""Facts that a host's own words or its row hold already."""
_MACHINE_READABLE_FACTS = frozenset({"secrets", "certificate"})
"""Facts that are compared, and not read: ids of versions, a hash."""

MAX_DETAIL_CHARS = 2000
"""Characters; `--json` has all."""

RUNNING_STATES = ("pending", "booting", "running")
"""States of a host that costs."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host of the lab. Addresses are empty where it has none.

    `reason` says why it is not ready, `message` what a ready host reports, `age_seconds` how old its report is; None without one.
    `problems` is what else is wrong.
    """

    name: str
    role: str
    zone: str
    private_ip: str
    public_ip: str
    instance_id: str
    state: str
    ready: bool
    reason: str
    message: str = ""
    age_seconds: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: Mapping[str, str] = field(default_factory=dict[str, str])
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Host":
        """Reads a host from the daemon's answer. Its texts come from the host or from tags, so they are made printable."""
        text = {name: sanitize(str(row.get(name) or "")) for name in _TEXT_FIELDS}
        problems = cast("list[object]", row.get("problems") or [])
        age = row.get("age_seconds")
        return cls(
            ready=bool(row.get("ready")),
            problems=tuple(sanitize(str(problem)) for problem in problems),
            age_seconds=age if isinstance(age, int) else None,
            facts=_printable(row.get("facts")),
            metrics=_printable(row.get("metrics")),
            **text,
        )

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def _printable(values: object) -> dict[str, str]:
    pairs = cast("dict[str, str]", values or {})
    return {sanitize(name): sanitize(text, max_length=MAX_FACT_LENGTH) for name, text in pairs.items()}


def list_hosts(session: LabHandle) -> list[Host]:
    """All hosts, by name. Raises ControlError where the daemon does not answer."""
    return parse_hosts(control_client.status(session.names))


def parse_hosts(status: Mapping[str, Any]) -> list[Host]:
    """The hosts in what the daemon says of its lab, by name."""
    return sorted((Host.of(row) for row in status["hosts"]), key=lambda host: (host.name, host.instance_id))


def find_problems(status: Mapping[str, Any]) -> list[str]:
    """What is wrong in the lab besides hosts that are not ready: an API that cannot be followed, what cannot be obeyed of it."""
    everyone = parse_hosts(status)
    found = [sanitize(str(status["api_error"]))] if status["api_error"] else []
    known = [sanitize(text) for text in status["firewall_problems"]]
    for text in known:
        concerned = ", ".join(sorted({host.name for host in everyone if text in host.problems}))
        found.append(f"{concerned or 'no host'}: {text}")
    for host in everyone:
        found += [f"{host.name}: {text}" for text in host.problems if text not in known]
    return found


def table(hosts: Sequence[Host]) -> Group:
    """The hosts for people: a row each, and under it what the host says, MAX_DETAIL_CHARS characters of it. 80 columns hold every row."""
    headings = ("host", "zone", "private ip", "public ip", "state")
    rows = [(host.name, host.zone, host.private_ip, host.public_ip, host.state) for host in hosts]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))

    shown: list[RenderableType] = [Text(line(headings) + "serves", "bold")]
    for host, row in zip(hosts, rows, strict=True):
        shown.append(Text.assemble(line(row), ("yes", "green") if host.ready else ("no", "red")))
        shown.append(_IndentedText(sanitize("; ".join(detail_lines(host)), max_length=MAX_DETAIL_CHARS), widths[0] + 2))
    return Group(*shown)


def indented(line: str, *, indent: int) -> RenderableType:
    """A line whose continuation, where it is too long, is indented."""
    return _IndentedText(line, indent, first=0)


@dataclass(frozen=True)
class _IndentedText:
    """A paragraph under a row; unlike rich's Padding it ends no line with blanks. `first`: the indent of its first line."""

    text: str
    indent: int
    first: int | None = None

    def __rich_console__(self, console: object, options: ConsoleOptions) -> RenderResult:
        width, later = max(options.max_width, self.indent + 20), " " * self.indent
        first = later if self.first is None else " " * self.first
        yield from map(Text, textwrap.wrap(self.text, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False))


def detail_lines(host: Host) -> list[str]:
    """What else is known of a host, for the lines under its row."""
    found = [f"{host.instance_id}: {host.message or 'it serves' if host.ready else host.reason or 'it does not say why'}"]
    for name, value in host.facts.items():
        if name == "active":
            found.append("the site's address is here" if value == "true" else "stands by")
        elif value and name not in _SHOWN_ELSEWHERE | _MACHINE_READABLE_FACTS:
            found.append(f"{name.replace('_', ' ')} {value}")
    found += [f"{name.replace('_', ' ')} {value}" for name, value in host.metrics.items()]
    if host.age_seconds is not None:
        found.append(f"heard {host.age_seconds} s ago")
    return found


def unready_summary(session: LabHandle) -> str:
    """A sentence on the hosts that run and do not serve; empty where all do, or where the daemon cannot be asked."""
    try:
        found = [
            f"{host.name} ({host.instance_id})"
            for host in list_hosts(session)
            if host.instance_id and not host.ready and host.state in RUNNING_STATES
        ]
    except LabError:
        return ""
    if not found:
        return ""
    return f"running but not serving yet: {', '.join(found)}. The next `webstack lab up` waits for them or replaces them."


def url(session: LabHandle) -> str:
    """The URL that the lab's load balancer serves on. Raises UserError where there is none."""
    for host in list_hosts(session):
        if host.role == "load_balancer" and host.public_ip:
            return f"https://{host.public_ip}/"
    raise UserError("no load balancer of this lab has a public address yet; see `webstack lab status`")


def find(session: LabHandle, name_or_id: str) -> Host:
    """The host of that name or instance id; of several the one that is not leaving. Raises UserError with the names there are."""
    everyone = list_hosts(session)
    found = [host for host in everyone if name_or_id in (host.name, host.instance_id)]
    if not found:
        names = ", ".join(host.name for host in everyone) or "none"
        raise UserError(f"host {name_or_id!r}: this lab has no such host. Hosts: {names}")
    return min(found, key=lambda host: host.state not in ("running", "pending"))


def resolve(session: LabHandle, name_or_id: str, instance: str | None, on_progress: Callable[[str], None]) -> Host:
    """The host of that name, or that instance of it; says which one is meant where there are two. Raises UserError."""
    host = find(session, instance or name_or_id)
    if instance and name_or_id not in (host.name, host.instance_id):
        raise UserError(f"--instance {instance}: that is {host.name}, not {name_or_id}")
    others = [other for other in list_hosts(session) if other.name == host.name and other.instance_id != host.instance_id]
    if others and name_or_id == host.name and not instance:
        rest = ", ".join(f"{other.instance_id} ({other.state})" for other in others)
        on_progress(f"{host.name}: using {host.instance_id} ({host.state}); for {rest} give the id instead of the name")
    return host


def command_environment() -> dict[str, str]:
    """What a command on a host is given: nothing of the caller's but how its terminal is to be spoken to."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "TERM": os.environ.get("TERM", "dumb"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }


def nsenter_command(session: LabHandle, name_or_id: str, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` on a running host. Raises UserError where it is not running."""
    host = find(session, name_or_id)
    pid = control_client.init_pid(session.names, host.instance_id)
    if pid is None:
        raise UserError(f"{host.name} is {host.state}: nothing can be run there. Start it: webstack lab start {host.name}")
    # A shell forks, and not nsenter: a shutdown stops every process of the guest for a moment, nsenter would stop with its own for good,
    # and a process that nobody reaps keeps the guest from ending. It also changes the folder: nsenter's --wd opens this machine's.
    shell = ["sh", "-c", 'trap : INT; cd /root && "$@"; exit $?', "sh"]
    return ["nsenter", "--no-fork", "--target", str(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--", *shell, *command]
