"""The MySQL client: takes statements and returns rows as dictionaries. The driver's untyped parts are confined to this module."""

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

import pymysql
from pymysql.cursors import DictCursor

from . import paths

Row = dict[str, Any]

MySQLError: type[Exception] = pymysql.MySQLError
"""Raised by every failed connection and statement; `error_code` returns MySQL's number."""

DISABLE_SLOW_LOG = "SET SESSION long_query_time = 31536000"
"""Keeps this stack's own statements out of the slow query log: CLONE INSTANCE can take long, and MySQL logs its password in plain text
(https://dev.mysql.com/doc/refman/9.7/en/password-logging.html lists the statements whose passwords it hides; CLONE is not among them)."""

ACCESS_DENIED = frozenset({1045, 1130})
"""Access denied: wrong password or no such account; or no account for this client's address."""


class _Connection(Protocol):
    def cursor(self) -> Any: ...
    def close(self) -> None: ...


class MySQLClient:
    """A connection that is made at the first statement, and again after a failed one.

    It uses the local socket (authenticated as the system user), or TLS to `address`, whose certificate must be trusted and valid for it. If
    the password is a function, it is called at each connection. Times are seconds; a statement that takes longer than `patience` fails. Not
    thread-safe.
    """

    def __init__(
        self, user: str, *, address: str = "", password: str | Callable[[], str] = "", timeout: float = 5.0, connect_timeout: float = 2.0
    ) -> None:
        self._user, self._address, self._password = user, address, password
        self._timeout, self._connect_timeout = timeout, connect_timeout
        self._connection: _Connection | None = None

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Runs a statement. Raises MySQLError, after which the next call reconnects."""
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
        """Runs a statement and returns the first row, empty if there is none."""
        found = self.rows(statement, values)
        return found[0] if found else {}

    def run(self, *statements: str) -> None:
        """Runs statements in order and stops at the first that fails."""
        for statement in statements:
            self.rows(statement)

    def close(self) -> None:
        """Closes the connection; the next statement makes a new one."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
        self._connection = None

    def _open(self) -> _Connection:
        # Connecting runs this statement and the driver's own `SET AUTOCOMMIT`; a read-only server accepts both.
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
    """Returns MySQL's number for an error; 0 if it has none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def quote(text: str) -> str:
    """Returns a string literal, for statements that do not support parameters."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
