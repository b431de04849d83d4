"""Recognizes requests that a web page makes in a browser. The lab's API rejects them all: programs do not call AWS this way.

A page of any site may send requests to addresses of this machine. The browser adds `Origin` (https://fetch.spec.whatwg.org/#origin-header),
sends a preflight OPTIONS request if headers are unusual (https://fetch.spec.whatwg.org/#cors-preflight-request), and lets the page read
only responses with `Access-Control-Allow-Origin`, which moto adds to every one.
"""

from collections.abc import Container, Iterable

REJECTION_TEXT = "The lab's API answers programs, not pages in a browser.\n"
"""The body of the response, with status 403."""

_CORS_PREFIX = "access-control-"


def is_browser_request(method: str, headers: Container[str]) -> bool:
    """Whether a browser sent it for a page, or as a preflight request. `headers` are case-insensitive."""
    return "Origin" in headers or (method == "OPTIONS" and "Access-Control-Request-Method" in headers)


def without_cors_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns a response's headers without those that let a page of another origin read it."""
    return [(name, value) for name, value in headers if not name.lower().startswith(_CORS_PREFIX)]
