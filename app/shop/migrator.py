"""Bring the schema to this release's, once, however many hosts start at the same time."""

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from .connections import error_number, is_read_only, make_engine

# A change of a large table takes its time, and losing its connection would not stop it.
STATEMENT_TIMEOUT = 24 * 3600
SCRIPTS = Path(__file__).parent / "migrations"


class MigrationError(Exception):
    """The schema could not be brought to this release's; the text says why and what to do."""


def head_revision() -> str:
    """The revision that this release needs."""
    revision = ScriptDirectory(str(SCRIPTS)).get_current_head()
    if revision is None:
        raise MigrationError(f"{SCRIPTS} holds no migration")
    return revision


def schema_problem(connection: Connection) -> str | None:
    """What the database lacks to serve this release, or None.

    A revision that this release does not know was made by a newer one: while hosts are replaced, and after going back, both
    serve one schema. So migrations must leave what the release before them needs.
    """
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None:
        return "the database has no schema yet"
    known = {script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()}
    return f"the schema is at {current}, this release needs {head_revision()}" if current in known and current != head_revision() else None


def migrate(url: str, ca: str | None, *, timeout: float) -> str:
    """Migrate the database at `url` to the head; what was done, in one sentence.

    timeout: seconds to wait for a database that is not reachable or takes no writes yet, and then for another host that migrates.
    """
    engine = make_engine(url, ca, pool_size=1, statement_timeout=STATEMENT_TIMEOUT)
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                with engine.connect() as connection:
                    return _migrate_locked(connection, max(1, round(deadline - time.monotonic())))
            except DBAPIError as error:
                if time.monotonic() >= deadline or not _is_transient(error):
                    raise MigrationError(f"the database at {engine.url.host}:{engine.url.port} said: {error.orig}") from error
            time.sleep(1)
    finally:
        engine.dispose()


def _is_transient(error: DBAPIError) -> bool:
    """Whether waiting may help: no connection, or a server that has not got its role (or its accounts) yet."""
    number = error_number(error)
    return (
        error.connection_invalidated
        or is_read_only(error)
        or number in {1044, 1045, 1049, 1130}
        or (number is not None and 2000 <= number < 3000)
    )


def _migrate_locked(connection: Connection, lock_timeout: int) -> str:
    if schema_problem(connection) is None:
        return "the schema is up to date"
    if connection.dialect.name != "mysql":
        return _upgrade(connection)
    # A transaction that has looked at a table holds its metadata lock: with it, two that wait for the named lock are a deadlock (3058).
    connection.rollback()
    # The lock belongs to the connection: it goes with the host that holds it, however that ends.
    # Each schema has its own, so that two stacks on one server do not wait for each other.
    lock = {"name": f"migrate:{connection.engine.url.database}"[:64], "patience": lock_timeout}
    if connection.execute(text("SELECT GET_LOCK(:name, :patience)"), lock).scalar_one() != 1:
        raise MigrationError(f"another host has been migrating for {lock_timeout} s: look at its log (journalctl) and start this one again")
    connection.rollback()
    try:
        return "another host has just migrated the schema" if schema_problem(connection) is None else _upgrade(connection)
    finally:
        if not connection.invalidated:
            connection.rollback()
            connection.execute(text("DO RELEASE_LOCK(:name)"), lock)


def _upgrade(connection: Connection) -> str:
    before = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return f"migrated the schema from {before or 'nothing'} to {head_revision()}"
