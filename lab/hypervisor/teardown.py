"""Removes a lab, whatever state it is in: found by its prefix and its folder alone, with or without a daemon, from any clone.

Nothing is remembered from the lab's start: everything named after it is removed, and nothing else.
"""

import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.errors import LabError
from lab.hypervisor import cgroups, namespaces, node_firewall, node_settings, root_disk, volumes
from lab.hypervisor.cgroups import MachineCgroup
from lab.hypervisor.netlink import node_netlink
from lab.names import LabNames
from lab.processes import read_pid_file

_GRACE_SECONDS = 10.0
"""Seconds that the lab's own processes may take to end before they are killed."""


_REMOVAL_ATTEMPTS = 30


class TearDownError(LabError):
    """Something of the lab could not be removed; the message names it."""


def take_down(names: LabNames) -> None:
    """Removes everything that belongs to the lab. May be repeated, also if the lab does not exist. Raises `TearDownError`."""
    _end_processes(names)
    machines = cgroups.list_instance_ids(names.prefix)
    with ThreadPoolExecutor(max_workers=16) as pool:
        for killing in [pool.submit(MachineCgroup(lab=names.prefix, instance_id=instance_id).kill) for instance_id in machines]:
            killing.result()
    cgroups.remove_lab(names.prefix)
    for namespace in namespaces.names():
        if namespace.startswith(f"{names.prefix}."):
            namespaces.remove(namespace)
    with node_netlink() as wires:
        wires.remove_link(names.wan_link)
    node_firewall.uninstall(names)
    root_disk.unmount_all_under(names.state_dir)
    volumes.detach_all_under(names.state_dir)
    _remove_state(names)
    node_settings.release()


def find_leftovers(names: LabNames) -> list[str]:
    """Returns descriptions of what is left of the lab; empty after `take_down`."""
    found = [f"cgroup {hierarchy / names.prefix}" for hierarchy in cgroups.layout().all_hierarchies if (hierarchy / names.prefix).exists()]
    found += [f"namespace {name}" for name in namespaces.names() if name.startswith(f"{names.prefix}.")]
    with node_netlink() as wires:
        found += [f"link {name}" for name in wires.links() if name == names.wan_link]
    found += [f"firewall table inet {names.prefix}"] if node_firewall.is_installed(names) else []
    found += [f"mount {where}" for where in root_disk.mounts_under(names.state_dir)]
    found += [f"loop device {loop}" for loop in volumes.loops_under(names.state_dir)]
    if names.state_dir.exists():
        found.append(f"folder {names.state_dir}")
    return found


def _end_processes(names: LabNames) -> None:
    """Ends the daemon first, since it would boot removed machines again; then all others that left a pid file."""
    _end([names.pid_file("daemon")])
    if names.state_dir.is_dir():
        _end([file for file in names.state_dir.rglob("*.pid") if names.machines_dir not in file.parents])


def _end(files: Sequence[Path]) -> None:
    with ThreadPoolExecutor() as pool:
        for process in filter(None, map(read_pid_file, files)):
            if process.pid != os.getpid():
                pool.submit(process.stop, grace=_GRACE_SECONDS)


def _remove_state(names: LabNames) -> None:
    for attempt in range(_REMOVAL_ATTEMPTS):
        try:
            if names.state_dir.exists():
                shutil.rmtree(names.state_dir)
        except OSError as error:  # a process that is ending may still write to its log there
            if attempt == _REMOVAL_ATTEMPTS - 1:
                raise TearDownError(
                    f"{names.state_dir} cannot be removed ({error}); find the processes that use it: fuser -v {names.state_dir}"
                ) from error
            time.sleep(0.1)
        else:
            return
