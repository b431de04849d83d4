"""Network namespaces: making them, taking them away, and doing things inside them.

A thread enters a namespace, does one thing and ends there: the namespace of the process itself never changes.
"""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import netns as _untyped

NETNS_DIR = Path("/run/netns")

_netns: Any = _untyped
"""pyroute2 carries no complete annotations."""

_T = TypeVar("_T")
_IP_FREEBIND = 15
"""From <linux/in.h>: binding to an address that no interface has yet."""


def path_of(name: str) -> Path:
    """Where the namespace `name` is mounted."""
    return NETNS_DIR / name


def exists(name: str) -> bool:
    """Whether there is a namespace of that name."""
    return path_of(name).exists()


def names() -> list[str]:
    """All named network namespaces of this machine."""
    return sorted(path.name for path in NETNS_DIR.iterdir()) if NETNS_DIR.is_dir() else []


def create(name: str) -> None:
    """Makes the namespace unless it is there."""
    made = not NETNS_DIR.exists()
    if not exists(name):
        _netns.create(name)
    if made:
        NETNS_DIR.chmod(0o755)  # as ip-netns(8) makes it


def remove(name: str) -> None:
    """Takes the namespace away if it is there; links that lead into it go with it once no process is left inside."""
    if exists(name):
        _netns.remove(name)


def call_in_namespace(name: str, function: Callable[[], _T]) -> _T:
    """What `function` returns when called in the namespace `name`; what it raises is raised here. Blocks: it joins a thread."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            descriptor = os.open(path_of(name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                _netns.setns(descriptor)
            finally:
                os.close(descriptor)
            results.append(function())
        except BaseException as error:  # carried to the caller's thread and raised there
            errors.append(error)

    thread = threading.Thread(target=enter, name=f"netns-{name}", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def open_socket_in(
    name: str, family: socket.AddressFamily, kind: socket.SocketKind, address: tuple[str, int], *, backlog: int = 128
) -> socket.socket:
    """A socket bound to `address` in the namespace `name`, non-blocking, listening if it is a stream.

    The socket stays in its namespace wherever it is used. The address need not be on an interface yet.
    """

    def make() -> socket.socket:
        bound = socket.socket(family, kind)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET:
                bound.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            bound.setblocking(False)
            bound.bind(address)
            if kind == socket.SOCK_STREAM:
                bound.listen(backlog)
        except BaseException:
            bound.close()
            raise
        return bound

    return call_in_namespace(name, make)


def write_sysctl(name: str, path: str, value: str) -> None:
    """Sets a network sysctl of the namespace `name`; `path` is below /proc/sys, as `net/ipv4/ip_forward`.

    /proc/sys/net shows the namespace of the thread that opens the file.
    """
    call_in_namespace(name, lambda: Path("/proc/sys", path).write_text(value))
