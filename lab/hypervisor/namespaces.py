"""Network namespaces: making them, removing them, and running functions inside them.

Each function runs in a new thread, which enters the namespace and ends there. The process's own namespace never changes.
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
"""pyroute2 has incomplete annotations."""

_T = TypeVar("_T")
_IP_FREEBIND = 15
"""From <linux/in.h>: allows binding to an address that no interface has yet."""


def path_of(name: str) -> Path:
    """Returns where the namespace `name` is mounted."""
    return NETNS_DIR / name


def exists(name: str) -> bool:
    """Whether a namespace of that name exists."""
    return path_of(name).exists()


def names() -> list[str]:
    """Returns the names of all named network namespaces of this machine."""
    return sorted(path.name for path in NETNS_DIR.iterdir()) if NETNS_DIR.is_dir() else []


def create(name: str) -> None:
    """Makes the namespace unless it exists."""
    made = not NETNS_DIR.exists()
    if not exists(name):
        _netns.create(name)
    if made:
        NETNS_DIR.chmod(0o755)  # as ip-netns(8) makes it


def remove(name: str) -> None:
    """Removes the namespace if it exists. Its links disappear once no process is left inside."""
    if exists(name):
        _netns.remove(name)


def call_in_namespace(name: str, function: Callable[[], _T]) -> _T:
    """Calls `function` in the namespace `name` and returns or raises what it does. Blocks: it joins a thread."""
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
        except BaseException as error:  # raised again in the caller's thread
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
    """Returns a non-blocking socket bound to `address` in the namespace `name`; a stream socket also listens.

    The socket stays in its namespace wherever it is used. No interface need have the address yet.
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
    """Sets a network sysctl of the namespace `name`; `path` is relative to /proc/sys, such as `net/ipv4/ip_forward`.

    /proc/sys/net shows the namespace of the thread that opens the file.
    """
    call_in_namespace(name, lambda: Path("/proc/sys", path).write_text(value))
