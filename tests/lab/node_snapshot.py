"""What a machine looks like from outside, so that what a lab left behind shows: the state before `up` must be the state after `down`."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from lab.names import NAME_PREFIX, STATE_ROOT

VOLATILE_SYSCTLS = re.compile(
    r"^(kernel\.(random\.|ns_last_pid|pty\.nr|perf_event_max_sample_rate|sched_domain)|fs\.(dentry-state|file-nr|inode-|quota\.|aio-nr|epoll)|"
    r"net\.netfilter\.nf_conntrack_count|net\.ipv4\.(tcp_fastopen_key|route\.)|vm\.(stat_refresh|drop_caches)|dev\.)"
)
"""Counters and random values that change by themselves."""

LAB_PROCESS = re.compile(r"lab\.(daemon|provider|cloud)|systemd-nspawn|dnsmasq|(^|/)pulumi( |$)|/var/lib/webstack")
"""What the command line of a lab's process looks like; other programs may come and go while a test runs."""

LAB_NAME = re.compile(rf"(?:\b{NAME_PREFIX}-|{re.escape(str(STATE_ROOT / 'labs'))}/|--lab[ =]|lab\.daemon (?:--\S+ )*)([a-z0-9][a-z0-9-]*)")
"""How a line of a look names the lab that it belongs to."""


@dataclass(frozen=True, kw_only=True)
class NodeSnapshot:
    """One look at the machine. Every field is a set, so that a difference can be named."""

    processes: frozenset[str]
    network_namespaces: frozenset[str]
    mounts: frozenset[str]
    loop_devices: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]
    nftables: frozenset[str]
    cgroups: frozenset[str]
    sysctls: frozenset[str]
    state_folders: frozenset[str]
    run_folders: frozenset[str]

    @classmethod
    def take(cls) -> "NodeSnapshot":
        """Reads all of it; needs root."""
        return cls(
            processes=frozenset(_processes()),
            network_namespaces=_lines("ip", "netns", "list"),
            mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
            loop_devices=_lines("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"),
            links=_lines("ip", "-brief", "link"),
            addresses=_lines("ip", "-brief", "address"),
            routes=_lines("ip", "route", "show", "table", "all"),
            nftables=_lines("nft", "list", "ruleset"),
            cgroups=frozenset(_cgroups(Path("/sys/fs/cgroup"))),
            sysctls=frozenset(line for line in _lines("sysctl", "-a") if not VOLATILE_SYSCTLS.match(line)),
            state_folders=_children(Path("/var/lib/webstack/labs")),
            run_folders=_children(Path("/run/systemd/nspawn/propagate"))
            | _children(Path("/run/systemd/nspawn/locks"))
            | _children(Path("/run/netns")),
        )

    def diff(self, later: "NodeSnapshot", counts: Callable[[str], bool]) -> list[str]:
        """What is there later and was not (`+`), and what was there and is gone (`-`), of the lines that count."""
        result: list[str] = []
        for field in fields(self):
            before: frozenset[str] = getattr(self, field.name)
            after: frozenset[str] = getattr(later, field.name)
            result += [f"{field.name} + {line}" for line in sorted(after - before) if counts(line)]
            result += [f"{field.name} - {line}" for line in sorted(before - after) if counts(line)]
        return result


def names_any_lab(*labs: str) -> Callable[[str], bool]:
    """Whether a line names one of these labs."""
    return lambda line: not set(labs).isdisjoint(LAB_NAME.findall(line))


def leftovers(before: NodeSnapshot, after: NodeSnapshot, ours: Callable[[str], bool]) -> list[str]:
    """What the labs of which `ours` is true left on the machine, or took from it.

    Other labs may come and go meanwhile. While one is there, what labs change of the machine as a whole is not put back.
    """
    others = any(not ours(Path(folder).name) for folder in before.state_folders | after.state_folders)

    def counts(line: str) -> bool:
        named = LAB_NAME.findall(line)
        return any(ours(name) for name in named) if named else not others

    return before.diff(after, counts)


def _lines(*command: str) -> frozenset[str]:
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return frozenset(line.rstrip() for line in output.splitlines() if line.strip())


def _children(folder: Path) -> frozenset[str]:
    return frozenset(str(path) for path in folder.iterdir()) if folder.exists() else frozenset()


def _cgroups(folder: Path) -> Iterator[str]:
    """Every cgroup down to the labs': below one, another lab's hosts start and end services as they please.

    One that no lab's program runs in is others', and comes and goes with them.
    """
    with os.scandir(folder) as entries:
        inner = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in inner:
        pids = _words(path / "cgroup.procs")
        if LAB_NAME.search(str(path)) or any(_lab_process_line(Path("/proc") / pid) for pid in pids):
            yield str(path)
        if not path.name.startswith(f"{NAME_PREFIX}-"):
            yield from _cgroups(path)


def _processes() -> list[str]:
    return [line for entry in Path("/proc").iterdir() if entry.name.isdigit() and (line := _lab_process_line(entry))]


def _lab_process_line(process: Path) -> str:
    """A lab's process by its number and command line; empty for any other: what serves no lab is another tier's test."""
    line = f"{process.name} {_command(process)}"
    return line if LAB_PROCESS.search(line) and LAB_NAME.search(line := line + _lab_of(process)) else ""


def _lab_of(process: Path) -> str:
    """The lab in whose folder or for which a process works, where its command line does not say so: the engine's do not."""
    try:
        told = (process / "environ").read_bytes().decode(errors="replace") + str((process / "cwd").readlink())
    except OSError:
        return ""
    return "".join(f" --lab {name}" for name in sorted(set(LAB_NAME.findall(told))))


def _command(process: Path) -> str:
    """The command line of a process by its folder in /proc; empty for one that is gone."""
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
