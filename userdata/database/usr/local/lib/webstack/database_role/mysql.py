"""The MySQL client: statements in, rows as dictionaries out. Everything untyped of the driver stays in here."""

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

import pymysql
from pymysql.cursors import DictCursor

from . import paths

Row = dict[str, Any]

MySQLError: type[Exception] = pymysql.MySQLError
"""What every failed connection and statement raises; `code(error)` tells which."""

DISABLE_SLOW_LOG = "SET SESSION long_query_time = 31536000"
"""What keeps this stack's own statements out of the log of slow ones: CLONE INSTANCE takes as long as the data is large, and MySQL writes
its password there as it was given (https://dev.mysql.com/doc/refman/9.7/en/password-logging.html lists the statements whose passwords it
hides; CLONE is none of them)."""

ACCESS_DENIED = frozenset({1045, 1130})
"""Access denied: a wrong password or no such account; or no account at all from where this comes."""


class _Connection(Protocol):
    def cursor(self) -> Any: ...
    def close(self) -> None: ...


class MySQLClient:
    """A connection that is made at its first statement and again after one that failed.

    Through the local socket (as the system user that asks), or over TLS to `address`, whose certificate must be trusted and name it.
    A password that is a function is asked for
    at each connection. Times are seconds; a statement that takes longer than `patience` fails. Not for several threads at once.
    """

    def __init__(
        self, user: str, *, address: str = "", password: str | Callable[[], str] = "", timeout: float = 5.0, connect_timeout: float = 2.0
    ) -> None:
        self._user, self._address, self._password = user, address, password
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._connection: _Connection | None = None

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Runs a statement; raises MySQLError, after which the next call connects anew."""
        if self._connection is None:
            self._connection = self._open()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cast("list[Row]", list(cursor.fetchall()))
        except BaseException:
            self.close()
            raise

    def row(self, statement: str, values: Sequence[object] = ()) -> Row:
        """The first row; an empty one where there is none."""
        found = self.rows(statement, values)
        return found[0] if found else {}

    def run(self, *statements: str) -> None:
        """Runs statements in order, up to the first that fails."""
        for statement in statements:
            self.rows(statement)

    def close(self) -> None:
        """Ends the connection; the next statement makes a new one."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
        self._connection = None

    def _open(self) -> _Connection:
        # The statements at connecting are this one and the driver's own `SET AUTOCOMMIT`: a read-only server takes both.
        common: dict[str, Any] = {
            "user": self._user,
            "password": self._password if isinstance(self._password, str) else self._password(),
            "connect_timeout": self._connect_timeout,
            "read_timeout": self._timeout,
            "write_timeout": self._timeout,
            "autocommit": True,
            "init_command": DISABLE_SLOW_LOG,
            "cursorclass": DictCursor,
        }
        if self._address:
            trusted = ssl.create_default_context(cafile=str(paths.TRUSTED_CERTIFICATES))
            return cast(_Connection, pymysql.connect(host=self._address, port=paths.MYSQL_PORT, ssl=trusted, **common))
        return cast(_Connection, pymysql.connect(unix_socket=str(paths.SOCKET), **common))


def error_code(error: Exception) -> int:
    """MySQL's number for an error; 0 where it has none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def quote(text: str) -> str:
    """A string literal, for the statements that take no parameters."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
