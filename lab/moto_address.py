"""The address of a moto server and how to connect to it.

moto does not authenticate its callers. A lab's moto therefore listens behind the API gateway on a Unix socket that only root can open
(`unix:PATH`); an empty one that ends with its command (`lab.standalone_moto`) may have a URL (`http://127.0.0.1:PORT`).
"""

import http.client
from pathlib import Path
from urllib.parse import urlsplit

from lab.unix_http import UnixConnection

TIMEOUT = 30.0
"""Seconds without data after which a call fails."""

_UNIX_SCHEME = "unix:"
_LOOPBACK = "127.0.0.1"
"""In URLs and Host headers of calls over the socket. For a host that is not AWS's, moto finds the service by the signature's scope."""


def from_socket(path: Path) -> str:
    """The address of a server that listens on this socket."""
    return f"{_UNIX_SCHEME}{path}"


def socket_path(address: str) -> Path | None:
    """Returns the server's socket, or None if it has a URL."""
    return Path(address.removeprefix(_UNIX_SCHEME)) if address.startswith(_UNIX_SCHEME) else None


def base_url(address: str) -> str:
    """The base URL that clients use for requests to it."""
    return address.rstrip("/") if socket_path(address) is None else f"http://{_LOOPBACK}"


def http_connection(address: str) -> http.client.HTTPConnection:
    """Returns a connection to it, not yet opened."""
    path = socket_path(address)
    if path is None:
        return http.client.HTTPConnection(urlsplit(address).netloc, timeout=TIMEOUT)
    return UnixConnection(path, timeout=TIMEOUT, host=_LOOPBACK)
