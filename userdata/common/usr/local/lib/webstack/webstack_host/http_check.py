"""HTTP checks of the app: its response, and what to change in the app if it is not 200."""

import http
import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass

MAX_BODY_LINES = 5
MAX_LINE_LENGTH = 200
"""The lines and characters of a body that are published."""


@dataclass(frozen=True, kw_only=True)
class CheckResponse:
    """A response's status, its `Location` if any, and the beginning of its body."""

    status: int
    location: str = ""
    body: str = ""

    @property
    def ok(self) -> bool:
        """Whether the check passes, as in HAProxy's `http-check expect status 200`."""
        return self.status == http.HTTPStatus.OK

    def excerpt(self) -> list[str]:
        """Returns the first lines of the body."""
        text = [line.strip()[:MAX_LINE_LENGTH] for line in self.body.splitlines() if line.strip()][:MAX_BODY_LINES]
        return [*([f"Location: {self.location}"] if self.location else []), *text]


def get(connection: socket.socket, path: str, headers: Mapping[str, str]) -> CheckResponse:
    """Sends GET over an open connection and closes it. Raises OSError if the response is not HTTP."""
    asking = http.client.HTTPConnection("unused")  # never connects: it uses the given socket
    asking.sock = connection
    try:
        asking.request("GET", path, headers={**headers, "Connection": "close"})
        answer = asking.getresponse()
        return CheckResponse(
            status=answer.status, location=answer.headers.get("Location", ""), body=answer.read(2000).decode(errors="replace")
        )
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__} {error}".strip()) from error
    finally:
        asking.close()


def remedy(status: int, *, site: str, setting: str, location: str = "") -> str:
    """Returns what to change in the app for this response; empty if only its own body and log can tell. `setting` names the path."""
    if status in (301, 302, 303, 307, 308):
        if location.startswith("https:"):
            return (
                "To change: it sends visitors who came by https to https again. Let it believe X-Forwarded-Proto, "
                "such as by Django's SECURE_PROXY_SSL_HEADER or Flask's ProxyFix"
            )
        return f"To change: {setting} must name a page that answers 200 itself, without a redirect"
    if status in (400, 421):
        return f"To change: the hosts that it allows must hold {site} (SITE_HOST), such as in Django's ALLOWED_HOSTS"
    if status in (401, 403):
        return f"To change: {setting} must name a page that answers 200 to whoever asks, without a login"
    if status in (404, 405, 410):
        return f"To change: {setting} must name a page of the app that answers GET with 200"
    return ""
