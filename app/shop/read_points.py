"""Read your own writes: what a client has written, and whether the database that answers its next read has that already.

A *read point* is text that names the state a client has seen to be true. With MySQL it is a set of GTIDs, taken on the connection that
committed, after its commit, as `@@global.gtid_executed`: this contains the commit for certain. (MySQL can report the one
GTID itself in the commit's reply, which PyMySQL offers only through private methods.)
"""

from typing import Protocol

from sqlalchemy import Connection, text

# A set grows by a range for each server that was ever the primary. One that does not fit a cookie is given up for WRITER_ONLY.
MAX_LENGTH = 1000
# The read point that only the writer can serve.
WRITER_ONLY = "*"


class ReadPoints(Protocol):
    """How a kind of database names its states."""

    def after_commit(self, connection: Connection) -> str:
        """The read point that contains what `connection` has just committed; "" where there is nothing to wait for."""
        ...

    def reached(self, connection: Connection, point: str, seconds: float) -> bool:
        """Whether the database behind `connection` has reached `point`, waiting up to `seconds` for it."""
        ...


class GtidReadPoints:
    """Read points of MySQL with GTIDs."""

    def after_commit(self, connection: Connection) -> str:
        """The set of all that the server had executed just after the commit."""
        executed = connection.execute(text("SELECT @@global.gtid_executed")).scalar_one()
        point = str(executed).replace("\n", "")
        return point if len(point) <= MAX_LENGTH else WRITER_ONLY

    def reached(self, connection: Connection, point: str, seconds: float) -> bool:
        """Ask the server to wait (WAIT_FOR_EXECUTED_GTID_SET: 0 is there, 1 timed out)."""
        if point == WRITER_ONLY:
            return False
        statement = text("SELECT WAIT_FOR_EXECUTED_GTID_SET(:point, :seconds)")
        return connection.execute(statement, {"point": point, "seconds": seconds}).scalar_one() == 0


class SingleDatabase:
    """Read points where reads and writes go to the same database: there is nothing to wait for."""

    def after_commit(self, connection: Connection) -> str:
        """Nothing: each read sees each commit."""
        return ""

    def reached(self, connection: Connection, point: str, seconds: float) -> bool:
        """Always."""
        return True
