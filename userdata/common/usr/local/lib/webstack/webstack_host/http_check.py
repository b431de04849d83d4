"""An app's answer to a check in words: what it was, and what in the app is to be changed where it is not 200."""

import http
import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass

MAX_BODY_LINES = 5
MAX_LINE_LENGTH = 200
"""Of an answer's body, what is told."""


@dataclass(frozen=True, kw_only=True)
class CheckResponse:
    """Status, the `Location` where there is one, and the beginning of the body."""

    status: int
    location: str = ""
    body: str = ""

    @property
    def ok(self) -> bool:
        """Whether a check passes: HAProxy's `http-check expect status 200`."""
        return self.status == http.HTTPStatus.OK

    def excerpt(self) -> list[str]:
        """What the app said, a few lines of it."""
        text = [line.strip()[:MAX_LINE_LENGTH] for line in self.body.splitlines() if line.strip()][:MAX_BODY_LINES]
        return [*([f"Location: {self.location}"] if self.location else []), *text]


def get(connection: socket.socket, path: str, headers: Mapping[str, str]) -> CheckResponse:
    """GET over a connection that is open, and closed here; raises OSError where no HTTP comes back."""
    asking = http.client.HTTPConnection("unused")  # the socket is given, so it connects nowhere
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
    """What to change in the app where a check is answered so; empty where its own words and log must say. `setting` names the path."""
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
