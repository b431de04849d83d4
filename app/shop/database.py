"""Reads and writes: which of the two databases does which, and what happens when one is away."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from .connections import database_host, error_number, is_read_only, make_engine
from .read_points import GtidReadPoints, ReadPoints, SingleDatabase
from .settings import Settings

T = TypeVar("T")
log = logging.getLogger(__name__)

READ_POINT_TIMEOUT = 1.0
# Too many connections, shutting down, lock wait timeout, deadlock. (2000 to 2999 are the client's own: no connection.)
BUSY_ERRORS = frozenset({1040, 1053, 1205, 1213})
CANNOT_CONNECT = 2003


class UnavailableError(Exception):
    """The databases cannot serve this request now; the client may try again later."""


@dataclass(frozen=True)
class QueryResult(Generic[T]):
    """A value, the database host it came from, and (after a write) the read point that contains the write."""

    value: T
    host: str
    read_point: str = ""


@dataclass(frozen=True)
class Database:
    """The writer, the reader, and how to tell whether the reader is up to date."""

    writer: Engine
    reader: Engine
    read_points: ReadPoints

    @classmethod
    def connect(cls, settings: Settings) -> "Database":
        """The databases of `settings`; no connection is made before it is needed."""
        writer = make_engine(settings.write_url, settings.database_ca, pool_size=settings.pool_size)
        reader = make_engine(settings.read_url, settings.database_ca, pool_size=settings.pool_size, autocommit=True)
        return cls(writer, reader, GtidReadPoints() if writer.dialect.name == "mysql" else SingleDatabase())

    def read(self, query: Callable[[Session], T], *, point: str = "") -> QueryResult[T]:
        """Run `query` on the reader if it has reached `point` or does so within a second, else on the writer.

        A query does no harm when it runs twice: after a lost connection it is tried once more, then on the writer.
        Raises UnavailableError when neither can answer.
        """
        for _attempt in range(2):
            try:
                with self.reader.connect() as connection:
                    if point and not self.read_points.reached(connection, point, READ_POINT_TIMEOUT):
                        break
                    return _run_query(connection, query)
            except PoolTimeout as error:
                raise UnavailableError("no connection to the database was free in time") from error
            except DBAPIError as error:
                if not _connection_failed(error):
                    raise
                log.warning("the reader failed: %s", error.orig)
                if error_number(error) == CANNOT_CONNECT:
                    break
        return self.read_from_writer(query)

    def read_from_writer(self, query: Callable[[Session], T]) -> QueryResult[T]:
        """Run `query` where every commit is seen for certain. Raises UnavailableError."""
        with self._writer_connection() as connection:
            return _run_query(connection, query)

    def write(self, change: Callable[[Session], T]) -> QueryResult[T]:
        """Run `change` on the writer and commit it, once. Raises UnavailableError; other errors (IntegrityError) after rolling back.

        A commit whose answer is lost may have happened: what must not happen twice needs a unique key in the database.
        """
        with self._writer_connection() as connection:
            with Session(connection, expire_on_commit=False) as session:
                value = change(session)
                session.commit()
            return QueryResult(value, database_host(connection), self._point_after_commit(connection))

    def _point_after_commit(self, connection: Connection) -> str:
        # The write is done: nothing that goes wrong from here on may be told as its failure.
        try:
            return self.read_points.after_commit(connection)
        except DBAPIError as error:
            log.warning("the commit's read point is not known: %s", error.orig)
            return ""

    @contextmanager
    def _writer_connection(self) -> Generator[Connection]:
        try:
            with self._connect_writer() as connection:
                yield connection
        except PoolTimeout as error:
            raise UnavailableError("no connection to the database was free in time") from error
        except DBAPIError as error:
            if is_read_only(error):
                raise UnavailableError("the database takes no writes now") from error
            if not _connection_failed(error):
                raise
            raise UnavailableError("the database cannot be reached now") from error

    def _connect_writer(self) -> Connection:
        """A connection to the writer. One that is lost before anything was asked of it is followed by another: after an outage the pool
        and the way to the database may hold several that lead nowhere.
        """
        try:
            return self.writer.connect()
        except DBAPIError as error:
            if not _connection_failed(error) or error_number(error) == CANNOT_CONNECT:
                raise
            log.warning("a connection to the writer was lost before its use: %s", error.orig)
            return self.writer.connect()


def _run_query(connection: Connection, query: Callable[[Session], T]) -> QueryResult[T]:
    host = database_host(connection)
    with Session(connection, expire_on_commit=False) as session:
        return QueryResult(query(session), host)


def _connection_failed(error: DBAPIError) -> bool:
    """Whether the connection could not be made or was lost, or the server had no room for the statement just then."""
    number = error_number(error)
    return error.connection_invalidated or number in BUSY_ERRORS or (number is not None and 2000 <= number < 3000)


def describe(error: SQLAlchemyError | OSError) -> str:
    """A failure in a few words that say nothing about accounts and addresses."""
    original = error.orig if isinstance(error, DBAPIError) else None
    if original is not None and original.args:
        return f"{type(original).__name__} {original.args[0]}"
    return type(error).__name__
