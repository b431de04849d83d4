"""The address of a moto server, the one behind the gateway, and how it is reached.

It checks nobody. So a lab's listens on a Unix socket that only root can open, `unix:PATH`; one that holds nothing and ends with the command
that started it (`lab.standalone_moto`) may be at a URL, `http://127.0.0.1:PORT`.
"""

import http.client
from pathlib import Path
from urllib.parse import urlsplit

from lab.unix_http import UnixConnection

TIMEOUT = 30.0
"""Seconds for which the server may say nothing."""

_UNIX_SCHEME = "unix:"
_LOOPBACK = "127.0.0.1"
"""In URLs and Host headers of calls by the socket: moto then goes by the signature's scope, as for any endpoint that is not AWS's."""


def from_socket(path: Path) -> str:
    """The address of a server that listens on this socket."""
    return f"{_UNIX_SCHEME}{path}"


def socket_path(address: str) -> Path | None:
    """The socket of a server, None for one with a URL."""
    return Path(address.removeprefix(_UNIX_SCHEME)) if address.startswith(_UNIX_SCHEME) else None


def base_url(address: str) -> str:
    """The URL below which its paths are, as clients write it."""
    return address.rstrip("/") if socket_path(address) is None else f"http://{_LOOPBACK}"


def http_connection(address: str) -> http.client.HTTPConnection:
    """A connection to it, not opened yet."""
    path = socket_path(address)
    if path is None:
        return http.client.HTTPConnection(urlsplit(address).netloc, timeout=TIMEOUT)
    return UnixConnection(path, timeout=TIMEOUT, host=_LOOPBACK)
