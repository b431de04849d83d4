"""Requests that a page in somebody's browser makes: no program calls AWS so, and none of them is answered.

A page of any site may send requests to addresses of this machine; the browser adds `Origin` (https://fetch.spec.whatwg.org/#origin-header),
asks beforehand with OPTIONS where headers are unusual (https://fetch.spec.whatwg.org/#cors-preflight-request), and shows the page only
answers with `Access-Control-Allow-Origin`, which moto puts into every one.
"""

from collections.abc import Container, Iterable

REJECTION_TEXT = "The lab's API answers programs, not pages in a browser.\n"
"""With status 403."""

_CORS_PREFIX = "access-control-"


def is_browser_request(method: str, headers: Container[str]) -> bool:
    """Whether a browser sent it on behalf of a page, or asks whether it may. `headers` of any case."""
    return "Origin" in headers or (method == "OPTIONS" and "Access-Control-Request-Method" in headers)


def without_cors_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """An answer's headers but those that let a page of another origin read it."""
    return [(name, value) for name, value in headers if not name.lower().startswith(_CORS_PREFIX)]
