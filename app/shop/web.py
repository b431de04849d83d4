"""What all requests share: the databases, who asks, what he has written, headers, errors."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, jsonify, render_template, request, session
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import ServiceUnavailable as Http503

from .database import Database, QueryResult, UnavailableError
from .settings import Settings

T = TypeVar("T")

READ_POINT_HEADER = "X-Read-Point"
# By then every replica that is still asked has long caught up; a point that can never be reached again must not slow a client for ever.
READ_POINT_LIFETIME = 600
RETRY_SECONDS = 2

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class AppState:
    """What the app holds beside its configuration."""

    settings: Settings
    database: Database
    read_point_signer: URLSafeTimedSerializer = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "read_point_signer", URLSafeTimedSerializer(self.settings.session_keys, salt="read-point"))


def app_state() -> AppState:
    """The current app's."""
    return cast("AppState", current_app.extensions["shop"])


def read(query: Callable[[Session], T]) -> T:
    """Run a query where all that this client has written is seen."""
    return _record_and_unwrap(app_state().database.read(query, point=_read_point()))


def read_from_writer(query: Callable[[Session], T]) -> T:
    """Run a query where all that anyone has written is seen."""
    return _record_and_unwrap(app_state().database.read_from_writer(query))


def write(change: Callable[[Session], T]) -> T:
    """Run a change and commit it; this client's later reads will see it."""
    answer = _record_database_host(app_state().database.write(change))
    if answer.read_point:
        session["read_point"] = answer.read_point
        session["read_point_at"] = int(time.time())
        g.read_point_token = app_state().read_point_signer.dumps(answer.read_point)
    return answer.value


def _record_and_unwrap(answer: QueryResult[T]) -> T:
    return _record_database_host(answer).value


def _record_database_host(answer: QueryResult[T]) -> QueryResult[T]:
    g.database_host = answer.host
    return answer


def _read_point() -> str:
    """What this client has written last, by its request's header (API clients without cookies) or its session."""
    token = request.headers.get(READ_POINT_HEADER)
    if token:
        try:
            return str(app_state().read_point_signer.loads(token, max_age=READ_POINT_LIFETIME))
        except BadSignature:
            return ""
    point, written_at = session.get("read_point"), session.get("read_point_at")
    if isinstance(point, str) and isinstance(written_at, int) and time.time() - written_at < READ_POINT_LIFETIME:
        return point
    return ""


def register(app: Flask) -> None:
    """Give `app` its headers, its error pages and the helpers of its templates."""
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(UnavailableError, _on_unavailable)
    app.jinja_env.filters["euros"] = euros
    app.context_processor(_template_values)


def euros(cents: int) -> str:
    """Cents as a price: 2400 → € 24.00."""
    return f"€ {cents // 100:,}.{cents % 100:02}"


def _add_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Web-Host"] = app_state().settings.web_host
        if host := g.get("database_host"):
            response.headers["X-Database-Host"] = host
        if token := g.get("read_point_token"):
            response.headers[READ_POINT_HEADER] = token
    return response


def _on_http_error(error: HTTPException) -> Any:
    """Errors in the shape of what was asked: JSON under /api, else a page."""
    response = error.get_response()
    if request.path.startswith("/api/"):
        body = jsonify(error=error.description)
    else:
        body = current_app.make_response(render_template("error.html", error=error))
    body.status_code = error.code or 500
    for name in ("Allow", "Retry-After"):
        if name in response.headers:
            body.headers[name] = response.headers[name]
    return body


def _on_unavailable(error: UnavailableError) -> Any:
    current_app.logger.warning("%s %s: %s (%s)", request.method, request.path, error, error.__cause__)
    return _on_http_error(Http503(f"Sorry: {error}. Please try again in a moment.", retry_after=RETRY_SECONDS))


def _template_values() -> dict[str, object]:
    return {
        "web_host": app_state().settings.web_host,
        # A function: the page's query may run before the footer is rendered, but not before this.
        "database_host": lambda: g.get("database_host", ""),
        "static": static_url,
        "user_name": session.get("user_name"),
    }


def static_url(name: str) -> str:
    """Address of a static file, which changes with its content, so that browsers may keep it."""
    return f"/static/{name}?v={_digest(Path(str(current_app.static_folder)) / name)}"


@lru_cache(maxsize=256)
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]
