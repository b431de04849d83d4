"""What a database host is told."""

from dataclasses import replace

from .support import DB_1


def test_the_variables_name_the_other_host_only_where_a_replica_is_configured() -> None:
    assert DB_1.peer is not None
    assert DB_1.peer.host == "db-2"
    assert replace(DB_1, has_replica=False, databases=DB_1.databases[:1]).peer is None
