"""Is this process alive (/healthz), and can it really serve (/readyz)?"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, current_app, jsonify
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from .connections import database_host
from .database import describe
from .migrator import schema_problem
from .web import app_state

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Any:
    """Shallow: this process answers. A database that is away must not take every web host out of service."""
    return current_app.response_class("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
def readyz() -> Any:
    """Deep: the writer takes writes, the reader answers, both have this release's schema; 503 and the reasons if not."""
    database = app_state().database
    checks = {
        "writer": _check(database.writer, lambda connection: _read_only_problem(connection) or schema_problem(connection)),
        "reader": _check(database.reader, schema_problem),
    }
    ready = all(check["ok"] for check in checks.values())
    return jsonify(ready=ready, web_host=app_state().settings.web_host, checks=checks), 200 if ready else 503


def _check(engine: Engine, find_problem: Callable[[Connection], str | None]) -> dict[str, object]:
    try:
        with engine.connect() as connection:
            reason = find_problem(connection)
            return {"ok": reason is None, "host": database_host(connection), "reason": reason or ""}
    except (SQLAlchemyError, OSError) as error:
        current_app.logger.warning("not ready: %s", error)
        return {"ok": False, "host": "", "reason": f"cannot be reached: {describe(error)}"}


def _read_only_problem(connection: Connection) -> str | None:
    if connection.dialect.name == "mysql" and connection.execute(text("SELECT @@global.read_only")).scalar_one():
        return "takes no writes: it is read-only"
    return None
