"""What routing is told, and the server that tells it."""

import http.client
import threading
from typing import Any

import pytest
from database_role import role_check
from database_role.gtid import GtidSet
from database_role.observed_state import LocalView
from database_role.role_check import RoleChecker, RoleReading, primary_response, replica_response, seconds_behind, status_body

UUID = "11111111-0000-0000-0000-000000000000"
PRIMARY = LocalView(server_uuid=UUID, read_only=False, super_read_only=False, executed=GtidSet.parse(f"{UUID}:1-5"))
REPLICA = LocalView(
    server_uuid=UUID, read_only=True, super_read_only=True, executed=GtidSet.parse(f"{UUID}:1-5"), receiver="ON", applier="ON"
)
CONNECTING = LocalView(
    server_uuid=UUID, read_only=True, super_read_only=True, executed=GtidSet.parse(""), receiver="CONNECTING", applier="ON"
)
CLONING = LocalView(server_uuid=UUID, read_only=True, super_read_only=False, executed=GtidSet.parse(""))


@pytest.mark.parametrize(
    ("local", "lag", "primary", "replica"),
    [
        (PRIMARY, None, 200, 503),
        (REPLICA, 0.0, 503, 200),
        (REPLICA, 5.0, 503, 200),
        (REPLICA, 5.1, 503, 503),
        (REPLICA, None, 503, 503),
        (CONNECTING, 0.0, 503, 503),
        (CLONING, None, 503, 503),
        (None, None, 503, 503),
    ],
    ids=["primary", "level replica", "at the limit", "behind", "no heartbeat yet", "connecting", "read_only alone", "mysqld down"],
)
def test_roles(local: LocalView | None, lag: float | None, primary: int, replica: int) -> None:
    reading = RoleReading(local=local, lag=lag)
    assert primary_response(reading)[0] == primary
    assert replica_response(reading, 5.0)[0] == replica


def test_a_silent_source_counts_as_lag_even_where_all_that_was_received_is_applied() -> None:
    assert seconds_behind(REPLICA, 9.0, None) == 8.0
    assert seconds_behind(REPLICA, 0.4, None) == 0.0
    assert seconds_behind(REPLICA, None, None) is None


def test_what_waits_to_be_applied_counts_by_its_age() -> None:
    behind = LocalView(
        server_uuid=UUID,
        read_only=True,
        super_read_only=True,
        executed=GtidSet.parse(f"{UUID}:1-5"),
        received=GtidSet.parse(f"{UUID}:6"),
        receiver="ON",
        applier="ON",
    )
    assert seconds_behind(behind, 0.1, 7.5) == 7.5
    assert seconds_behind(REPLICA, 0.1, 7.5) == 0.0


def test_status_names_what_the_other_host_asks_for() -> None:
    body = status_body(RoleReading(local=REPLICA, lag=0.5), data="seeded", stopping=False, expects_replica=True)
    assert {name: body[name] for name in ("data", "stopping", "writable", "executed", "received", "receiver")} == {
        "data": "seeded",
        "stopping": False,
        "writable": False,
        "executed": f"{UUID}:1-5",
        "received": "",
        "receiver": "ON",
    }


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real server on a free port of this machine, before a MySQL that is a level replica."""
    checker = RoleChecker(expects_replica=True)
    monkeypatch.setattr(checker, "_ask", lambda: RoleReading(local=REPLICA, lag=0.2))
    handler = type("Handler", (role_check._Handler,), {"checker": checker})  # pyright: ignore[reportPrivateUsage]
    with role_check._CheckServer(("127.0.0.1", 0), handler) as server:  # pyright: ignore[reportPrivateUsage]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, target: str) -> tuple[int, str]:
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", target)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_server_answers_each_question(port: int) -> None:
    assert ask(port, "/primary") == (503, "read-only\n")
    assert ask(port, "/replica") == (200, "replica, 0.2 s behind\n")
    assert ask(port, "/replica?max_lag=0.1") == (503, "0.2 s behind\n")
    assert ask(port, "/replica?max_lag=many")[0] == 400
    assert ask(port, "/elsewhere")[0] == 404


def test_many_who_ask_are_one_question_to_mysql(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    checker = RoleChecker(expects_replica=True)

    def answer() -> RoleReading:
        asked.append(1)
        return RoleReading(local=PRIMARY, lag=None)

    monkeypatch.setattr(checker, "_ask", answer)
    monkeypatch.setattr(role_check, "CACHE_SECONDS", 1000)
    for _ in range(20):
        assert checker.respond("/primary")[0] == 200
    assert len(asked) == 1
