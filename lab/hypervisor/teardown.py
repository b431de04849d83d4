"""Takes a lab away, whatever state it is in: by its prefix and its folder alone, with or without a daemon, from any clone.

Nothing is remembered from the lab's start: all that bears its name goes, and nothing else is touched.
"""

import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.errors import LabError
from lab.hypervisor import cgroups, footprint, namespaces, root_disk, this_machine, volumes
from lab.hypervisor.cgroups import MachineCgroup
from lab.hypervisor.netlink import of_this_machine
from lab.names import LabNames
from lab.processes import read_pid_file

_GRACE = 10.0
"""Seconds for the lab's own processes to end by themselves."""


_REMOVAL_ATTEMPTS = 30


class TearDownError(LabError):
    """Something of the lab would not go; the message names it."""


def take_down(names: LabNames) -> None:
    """Removes every trace of the lab. May be repeated; a lab that is not there is fine. Raises `TearDownError`."""
    _end_processes(names)
    machines = cgroups.machines_of(names.prefix)
    with ThreadPoolExecutor(max_workers=16) as pool:
        for killing in [pool.submit(MachineCgroup(lab=names.prefix, instance_id=instance_id).kill) for instance_id in machines]:
            killing.result()
    cgroups.remove_lab(names.prefix)
    for namespace in namespaces.names():
        if namespace.startswith(f"{names.prefix}."):
            namespaces.remove(namespace)
    with of_this_machine() as wires:
        wires.remove(names.wan_link)
    this_machine.release(names)
    root_disk.unmount_below(names.state_dir)
    volumes.detach_below(names.state_dir)
    _remove_state(names)
    footprint.leave()


def remains(names: LabNames) -> list[str]:
    """What is there of the lab, for people; empty after `take_down`."""
    found = [f"cgroup {hierarchy / names.prefix}" for hierarchy in cgroups.layout().every if (hierarchy / names.prefix).exists()]
    found += [f"namespace {name}" for name in namespaces.names() if name.startswith(f"{names.prefix}.")]
    with of_this_machine() as wires:
        found += [f"link {name}" for name in wires.links() if name == names.wan_link]
    found += [f"firewall table inet {names.prefix}"] if this_machine.protected(names) else []
    found += [f"mount {where}" for where in root_disk.mounted_below(names.state_dir)]
    found += [f"loop device {loop}" for loop in volumes.loops_below(names.state_dir)]
    if names.state_dir.exists():
        found.append(f"folder {names.state_dir}")
    return found


def _end_processes(names: LabNames) -> None:
    """The daemon first, or it would boot again what goes; then all others that left a pid file."""
    _end([names.pid_file("daemon")])
    if names.state_dir.is_dir():
        _end([file for file in names.state_dir.rglob("*.pid") if names.machines_dir not in file.parents])


def _end(files: Sequence[Path]) -> None:
    with ThreadPoolExecutor() as pool:
        for process in filter(None, map(read_pid_file, files)):
            if process.pid != os.getpid():
                pool.submit(process.end, grace=_GRACE)


def _remove_state(names: LabNames) -> None:
    for attempt in range(_REMOVAL_ATTEMPTS):
        try:
            if names.state_dir.exists():
                shutil.rmtree(names.state_dir)
        except OSError as error:  # a process that is just ending may still write to its log there
            if attempt == _REMOVAL_ATTEMPTS - 1:
                raise TearDownError(
                    f"{names.state_dir} cannot be removed ({error}); see who is there: fuser -v {names.state_dir}"
                ) from error
            time.sleep(0.1)
        else:
            return
