"""Engines for the two databases: TLS, time limits, and connections that survive a change of roles."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError

# MySQL's answers of a server that refuses writes: --read-only option, a transaction or server in read-only mode.
# https://dev.mysql.com/doc/mysql-errors/9.7/en/server-error-reference.html
READ_ONLY_ERRORS = frozenset({1290, 1792, 1836})

CONNECT_SECONDS = 3
# The primary may hold a commit while its replica is away (5 s by default) before it goes on alone: an answer must be given time.
STATEMENT_SECONDS = 15
POOL_WAIT_SECONDS = 3
RECYCLE_SECONDS = 300


@dataclass
class _ReloadingTlsContext:
    """A TLS context that is made anew when its file changes: a database host that was made anew brings another certificate."""

    path: Path
    loaded_version: tuple[int, int] | None = None
    context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext:
        status = self.path.stat()
        identity = (status.st_mtime_ns, status.st_ino)
        if self.context is None or identity != self.loaded_version:
            self.context = ssl.create_default_context(cafile=str(self.path))
            self.loaded_version = identity
        return self.context


def error_number(error: BaseException) -> int | None:
    """MySQL's number of an error that SQLAlchemy raised, if it has one."""
    original = error.orig if isinstance(error, DBAPIError) else error
    arguments = original.args if original is not None else ()
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def is_read_only(error: BaseException) -> bool:
    """Whether the server refused a write because it is (or has just become) a replica."""
    return error_number(error) in READ_ONLY_ERRORS


def database_host(connection: Connection) -> str:
    """Name of the database host at the other end of a connection."""
    return str(connection.info.get("host", connection.dialect.name))


def _record_host(raw: Any, record: Any) -> None:
    """Note who answers a new connection: asked once, because its other end never changes."""
    with raw.cursor() as cursor:
        cursor.execute("SELECT COALESCE(NULLIF(@@report_host, ''), @@hostname)")
        record.info["host"] = str(cursor.fetchone()[0]).split(".")[0]


def make_engine(
    url: str, ca: str | None, *, pool_size: int, autocommit: bool = False, statement_timeout: int = STATEMENT_SECONDS
) -> Engine:
    """An engine for `url`. With `ca` (a PEM file) the server must prove its name by it. No connection is made yet.

    seconds: how long one statement may take.
    autocommit: for reads: each statement stands for itself and no round trip goes to BEGIN and ROLLBACK.
    """
    parsed = make_url(url)
    options: dict[str, Any] = {}
    if autocommit:
        options["isolation_level"] = "AUTOCOMMIT"
    if parsed.get_backend_name() != "mysql":
        return create_engine(parsed, **options)
    engine = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_recycle=RECYCLE_SECONDS,
        pool_pre_ping=True,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": statement_timeout,
            "write_timeout": statement_timeout,
        },
        **options,
    )
    if ca is not None:
        trusted = _ReloadingTlsContext(Path(ca))

        def trust(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
            parameters["ssl"] = trusted.get()

        event.listen(engine, "do_connect", trust)

    event.listen(engine, "connect", _record_host)

    def drop_demoted(context: ExceptionContext) -> None:
        # The pool's connections all lead to the server that has just become a replica: none may be used again.
        if context.original_exception.args and is_read_only(context.original_exception):
            context.is_disconnect = True

    event.listen(engine, "handle_error", drop_demoted)
    return engine
