"""Control groups of machines, on pure cgroup v2 and on the hybrid layout (v2 beside the v1 controllers).

Each machine has the group `<hierarchy>/<lab>/<instance>` in the v2 hierarchy and, on a hybrid system, in every v1 hierarchy too: a guest in
the root of a v1 hierarchy would see its release_agent, which names a program that the kernel runs outside (cgroups(7),
cgroup_namespaces(7)). In v2 the group has the children `supervisor` (the process that waits for the machine) and `machine` (nspawn and the
guest), because v2 allows processes only in leaf groups.

nspawn makes the same path in the `name=systemd` hierarchy itself and leaves it behind, so removal goes through every hierarchy.
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
"""What must be set in a v1 cpuset group before a process can join it."""
_CPU_SHARES = ("cpu.shares", "2048")
"""A host weighs as much as two ordinary processes, which have 1024 each (NICE_0_LOAD, kernel/sched/sched.h): it has about two runnable
processes at a time. A much higher weight would starve the lab's API, a single process, while hosts boot; with a lower one, whatever else
runs on this machine would starve the hosts."""
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
    """The v1 hierarchy that throttles disks (blkio), if there is one."""


class NoCgroupsError(LabError):
    """The system has no v2 hierarchy, without which a machine cannot be killed as a whole."""


def parse_mounts(mounts: str) -> CgroupLayout:
    """Returns the layout described by the text of /proc/self/mounts. Raises NoCgroupsError."""
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
    """Returns this system's layout."""
    return parse_mounts(Path("/proc/self/mounts").read_text())


@dataclass(frozen=True, kw_only=True)
class MachineCgroup:
    """The control groups of one machine."""

    lab: str
    """The lab's prefix, which names the group of all its machines."""
    instance_id: str

    @property
    def path(self) -> Path:
        """The machine's group in the v2 hierarchy."""
        return layout().unified / self.lab / self.instance_id

    def create(self) -> None:
        """Makes empty groups. Those of an earlier boot must have been removed."""
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
        """Returns the files that a process writes its pid to in order to join; `leaf` is `supervisor` or `machine`."""
        legacy = [hierarchy / self.lab / self.instance_id for hierarchy in layout().legacy]
        return [folder / "cgroup.procs" for folder in (self.path / leaf, *legacy)]

    @property
    def io_folders(self) -> tuple[Path | None, Path]:
        """The groups that throttle disks: the one in v1's blkio hierarchy, if there is one, and the v2 one."""
        block = layout().blkio
        return (block / self.lab / self.instance_id if block else None), self.path

    def freeze(self, timeout: float = 5) -> None:
        """Freezes all processes of the guest until `thaw` or `kill`. Raises `TimeoutError` if some still run after `timeout` seconds.

        The supervisor is not frozen; it only waits. Nor are processes that entered the guest from outside (`nsenter`): they are in none of
        its groups.
        """
        self._set_frozen(frozen=True)
        deadline = time.monotonic() + timeout
        while "frozen 1" not in (self.guest / "cgroup.events").read_text():
            if time.monotonic() > deadline:
                self._set_frozen(frozen=False)
                raise TimeoutError(f"{self.instance_id}: not all processes could be frozen within {timeout:g} s")
            time.sleep(0.01)

    def thaw(self) -> None:
        """Ends a freeze. Does nothing if the machine is off."""
        with _ignore_removed():
            self._set_frozen(frozen=False)

    def frozen(self) -> bool:
        """Whether the guest is frozen. The new group of a new boot is not."""
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
        """Whether the group has any process. A zombie that waits for its parent does not count."""
        with _ignore_removed():
            return "populated 1" in (self.path / "cgroup.events").read_text()
        return False

    def pids(self) -> list[int]:
        """Returns the pids in it and in the guest's own groups, which may come and go while they are read."""
        found: list[int] = []
        for folder, _children, _files in os.walk(self.path):
            with contextlib.suppress(OSError):
                found += [int(word) for word in Path(folder, "cgroup.procs").read_text().split()]
        return found

    def init_pid(self) -> int | None:
        """Returns the pid, on this machine, of the guest's PID 1: the process whose pid is 1 one namespace down. None if there is none."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                if _namespace_pids(Path(f"/proc/{pid}/status").read_text()) == [pid, 1]:
                    return pid
        return None

    def kill(self, timeout: float = 10) -> None:
        """Kills every process in it at once and waits until none is left. Raises `TimeoutError` after `timeout` seconds."""
        with _ignore_removed():
            (self.path / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + timeout
        while self.populated():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.instance_id}: processes {self.pids()} outlived a kill of their control group by {timeout:g} s")
            time.sleep(0.01)

    def remove(self) -> None:
        """Removes the groups from every hierarchy. Required before the next boot: a killed group also kills what joins it later."""
        remove_trees(hierarchy / self.lab / self.instance_id for hierarchy in layout().all_hierarchies)


def remove_lab(lab: str) -> None:
    """Removes the lab's groups and all groups below them from every hierarchy."""
    remove_trees(hierarchy / lab for hierarchy in layout().all_hierarchies)


def list_instance_ids(lab: str) -> list[str]:
    """Returns the ids of the instances that have a control group in the lab."""
    folder = layout().unified / lab
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def remove_trees(roots: Iterable[Path]) -> None:
    """Removes control group trees, leaves first. Trees that do not exist are skipped."""
    for root in roots:
        for folder, _children, _files in os.walk(root, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                Path(folder).rmdir()


@contextlib.contextmanager
def _ignore_removed() -> Generator[None]:
    """Suppresses the errors of a group that is removed meanwhile: its files are missing or can no longer be read."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV):
            raise


def _make_group(group: Path) -> None:
    """Makes a group whose files every user of the guest may read, as is usual for cgroups."""
    if not group.exists():
        group.mkdir(exist_ok=True)
        group.chmod(0o755)


def _configure_v1_group(group: Path) -> None:
    """Gives a v1 group its parent's processors and memory nodes, and a host's CPU share."""
    for name in _CPUSET_FILES:
        if (group / name).exists():
            (group / name).write_text((group.parent / name).read_text())
    name, share = _CPU_SHARES
    if (group / name).exists():
        (group / name).write_text(share)


def _delegate_controllers(group: Path) -> None:
    """Enables this group's controllers for its children. A group without controllers (hybrid layout) is left unchanged."""
    available = (group / "cgroup.controllers").read_text().split()
    for controller in _WANTED_CONTROLLERS:
        if controller in available:
            with contextlib.suppress(OSError):  # systemd may keep a controller to itself; machines run without it
                (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _namespace_pids(status: str) -> list[int]:
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return [int(word) for word in line.split()[1:]]
    return []
