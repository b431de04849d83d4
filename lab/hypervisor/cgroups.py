"""Control groups of machines, on pure cgroup v2 and on the hybrid layout (v2 beside the v1 controllers).

Each machine has `<hierarchy>/<lab>/<instance>` in the v2 hierarchy and, on a hybrid system, the same in every v1 hierarchy: a guest in the
root of one would see its release_agent, which names a program that the kernel runs outside (cgroups(7), cgroup_namespaces(7)). Below it in
v2 are `supervisor` (the process that waits for the machine) and `machine` (nspawn and the guest):
v2 wants processes only at the leaves.

nspawn makes the same path in the `name=systemd` hierarchy by itself and leaves it, so removal goes through every hierarchy.
"""

import contextlib
import errno
import functools
import os
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

_SYSTEMD_HIERARCHY = "name=systemd"
_CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")
"""What a v1 cpuset group must be told before a process can join it."""
_CPU_SHARES = ("cpu.shares", "2048")
"""A host counts as two processes of this machine, which have 1024 each (NICE_0_LOAD, kernel/sched/sched.h): about as many of its own want
to run at a time. With much more the lab's own API, which is one process, would stand behind hosts that boot; with less a host would stand
behind whatever else runs here."""
_WANTED_CONTROLLERS = ("cpu", "memory", "pids", "io")


@dataclass(frozen=True, kw_only=True)
class CgroupLayout:
    """Where the kernel's hierarchies are mounted."""

    unified: Path
    """The v2 hierarchy."""
    legacy: tuple[Path, ...]
    """The v1 hierarchies that machines join."""
    all_hierarchies: tuple[Path, ...]
    """All hierarchies, v2 and v1."""
    blkio: Path | None = None
    """The v1 hierarchy that slows disks down (blkio), where there is one."""


class NoCgroupsError(LabError):
    """The system has no v2 hierarchy, without which a machine cannot be killed as a whole."""


def parse_mounts(mounts: str) -> CgroupLayout:
    """The layout that the text of /proc/self/mounts shows."""
    unified: Path | None = None
    legacy: list[Path] = []
    every: list[Path] = []
    block: Path | None = None
    for line in mounts.splitlines():
        _source, where, kind, options, *_rest = line.split()
        if kind == "cgroup2":
            unified = unified or Path(where)
            every.append(Path(where))
        elif kind == "cgroup":
            every.append(Path(where))
            if "blkio" in options.split(","):
                block = Path(where)
            if _SYSTEMD_HIERARCHY not in options.split(","):
                legacy.append(Path(where))
    if unified is None:
        raise NoCgroupsError("no cgroup v2 hierarchy is mounted (looked for type cgroup2 in /proc/self/mounts); the lab needs one")
    return CgroupLayout(unified=unified, legacy=tuple(legacy), all_hierarchies=tuple(every), blkio=block)


@functools.cache
def layout() -> CgroupLayout:
    """This system's layout."""
    return parse_mounts(Path("/proc/self/mounts").read_text())


@dataclass(frozen=True, kw_only=True)
class MachineCgroup:
    """The control groups of one machine."""

    lab: str
    """The lab's prefix, the name of the group that holds its machines."""
    instance_id: str

    @property
    def path(self) -> Path:
        """The machine's group in the v2 hierarchy."""
        return layout().unified / self.lab / self.instance_id

    def create(self) -> None:
        """Makes the groups, empty; what an earlier boot left must be removed first."""
        system = layout()
        for parent in (system.unified, system.unified / self.lab, self.path):
            _make_group(parent)
            _delegate_controllers(parent)
        for leaf in ("supervisor", "machine"):
            _make_group(self.path / leaf)
        for hierarchy in system.legacy:
            for group in (hierarchy / self.lab, hierarchy / self.lab / self.instance_id):
                _make_group(group)
                _configure_v1_group(group)

    def join_files(self, leaf: str) -> list[Path]:
        """The files that a process writes its pid to in order to join; `leaf` is `supervisor` or `machine`."""
        legacy = [hierarchy / self.lab / self.instance_id for hierarchy in layout().legacy]
        return [folder / "cgroup.procs" for folder in (self.path / leaf, *legacy)]

    @property
    def io_folders(self) -> tuple[Path | None, Path]:
        """Its groups in which disks can be slowed down: the one of v1's blkio, where there is one, and that of v2."""
        block = layout().blkio
        return (block / self.lab / self.instance_id if block else None), self.path

    def freeze(self, timeout: float = 5) -> None:
        """Lets no process of it run until `thaw`, or until it is killed. `TimeoutError` if some still run after `timeout` seconds.

        Its supervisor is not frozen: it only waits. Nor is what was entered from outside (`nsenter`), which is in no group of its own.
        """
        self._set_frozen(frozen=True)
        deadline = time.monotonic() + timeout
        while "frozen 1" not in (self.guest / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                self._set_frozen(frozen=False)
                raise TimeoutError(f"{self.instance_id}: not all processes could be frozen within {timeout:g} s")
            time.sleep(0.01)

    def thaw(self) -> None:
        """Ends a freeze; a machine that is off has none."""
        with _ignore_removed():
            self._set_frozen(frozen=False)

    def frozen(self) -> bool:
        """Whether it is frozen. A group that a boot makes anew is not."""
        with _ignore_removed():
            return (self.guest / "cgroup.freeze").read_text().strip() == "1"
        return False

    @property
    def guest(self) -> Path:
        """The v2 group that holds nspawn and the guest."""
        return self.path / "machine"

    def _set_frozen(self, *, frozen: bool) -> None:
        (self.guest / "cgroup.freeze").write_text("1" if frozen else "0")

    def populated(self) -> bool:
        """Whether any process is left in it. A zombie that waits for its parent does not count."""
        with _ignore_removed():
            return "populated 1" in (self.path / "cgroup.events").read_text()
        return False

    def pids(self) -> list[int]:
        """The processes in it, those of the guest included, whose groups come and go meanwhile."""
        found: list[int] = []
        for folder, _children, _files in os.walk(self.path):
            with contextlib.suppress(OSError):
                found += [int(word) for word in Path(folder, "cgroup.procs").read_text().split()]
        return found

    def init_pid(self) -> int | None:
        """The guest's PID 1 as seen from here: the process whose innermost pid is 1, one namespace down."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                if _namespace_pids(Path(f"/proc/{pid}/status").read_text()) == [pid, 1]:
                    return pid
        return None

    def kill(self, timeout: float = 10) -> None:
        """Kills every process in it at once and waits until none is left; `TimeoutError` after `timeout` seconds."""
        with _ignore_removed():
            (self.path / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + timeout
        while self.populated():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.instance_id}: processes {self.pids()} outlived a kill of their control group by {timeout:g} s")
            time.sleep(0.01)

    def remove(self) -> None:
        """Removes the groups from every hierarchy. Needed before the next boot: a killed group kills what starts in it later."""
        remove_trees(hierarchy / self.lab / self.instance_id for hierarchy in layout().all_hierarchies)


def remove_lab(lab: str) -> None:
    """Removes the lab's own groups, and all below, from every hierarchy."""
    remove_trees(hierarchy / lab for hierarchy in layout().all_hierarchies)


def list_instance_ids(lab: str) -> list[str]:
    """The instance ids that have a control group in the lab."""
    folder = layout().unified / lab
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def remove_trees(roots: Iterable[Path]) -> None:
    """Removes control group trees, leaves first; those that are not there are fine."""
    for root in roots:
        for folder, _children, _files in os.walk(root, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                Path(folder).rmdir()


@contextlib.contextmanager
def _ignore_removed() -> Generator[None]:
    """What is asked of a group that is removed meanwhile stays undone: its file is not there, or no longer answers."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV):
            raise


def _make_group(group: Path) -> None:
    """Makes a group whose files all users of a guest may read, as they may of any other."""
    if not group.exists():
        group.mkdir(exist_ok=True)
        group.chmod(0o755)


def _configure_v1_group(group: Path) -> None:
    """Gives a v1 group the processors and the memory of its parent, and a host's share of them."""
    for name in _CPUSET_FILES:
        if (group / name).exists():
            (group / name).write_text((group.parent / name).read_text())
    name, share = _CPU_SHARES
    if (group / name).exists():
        (group / name).write_text(share)


def _delegate_controllers(group: Path) -> None:
    """Turns on, for the groups below, each controller that this group has; a group without controllers (hybrid) is left alone."""
    available = (group / "cgroup.controllers").read_text().split()
    for controller in _WANTED_CONTROLLERS:
        if controller in available:
            with contextlib.suppress(OSError):  # the system's own manager may keep one to itself: a machine runs without
                (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _namespace_pids(status: str) -> list[int]:
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return [int(word) for word in line.split()[1:]]
    return []
