"""What is read where, what a client has written, and what happens when a database is away."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from flask import Flask
from shop import create_app, database
from shop.database import Database, UnavailableError
from shop.read_points import WRITER_ONLY, GtidReadPoints
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from .conftest import Browser, settings


class FakeReadPoints:
    """Read points of two files that nobody replicates: the reader has what was there when it was copied."""

    def __init__(self) -> None:
        self.written = 0
        self.replicated = 0
        self.asked: list[str] = []

    def after_commit(self, connection: Connection) -> str:
        self.written += 1
        return str(self.written)

    def reached(self, connection: Connection, point: str, seconds: float) -> bool:
        self.asked.append(point)
        return self.replicated >= int(point)


class ReplicaPair:
    """A writer and a reader that lags until told otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points = FakeReadPoints()
        self.copy()
        self.database = Database(create_engine(f"sqlite:///{folder}/shop.db"), create_engine(f"sqlite:///{folder}/reader.db"), self.points)
        self.app: Flask = create_app(settings(folder, reader="reader.db"), self.database)

    def copy(self) -> None:
        shutil.copy(self.folder / "shop.db", self.folder / "reader.db")

    def replicate(self) -> None:
        self.database.reader.dispose()
        self.copy()
        self.points.replicated = self.points.written


@pytest.fixture
def pair(folder: Path) -> Iterator[ReplicaPair]:
    made = ReplicaPair(folder)
    yield made
    made.database.writer.dispose()
    made.database.reader.dispose()


def test_who_has_ordered_sees_the_order_while_the_replica_lags(pair: ReplicaPair) -> None:
    browser = Browser(pair.app.test_client())
    browser.sign_up()
    browser.send("/products/herb-planter", "/products/herb-planter/order", quantity="1")
    assert "Herb planter" in browser.get("/orders").text
    assert pair.points.asked[-1] == "2", "the last write's point is asked for"


def test_reads_go_back_to_the_reader_when_it_has_caught_up(pair: ReplicaPair) -> None:
    browser = Browser(pair.app.test_client())
    browser.sign_up()
    browser.send("/products/herb-planter", "/products/herb-planter/order", quantity="1")
    pair.replicate()
    pair.database.writer.dispose()
    (pair.folder / "shop.db").unlink()
    assert "Herb planter" in browser.get("/orders").text


def test_others_read_from_the_reader_without_asking(pair: ReplicaPair) -> None:
    Browser(pair.app.test_client()).sign_up()
    pair.points.asked.clear()
    assert Browser(pair.app.test_client()).get("/").status_code == 200
    assert pair.points.asked == []


def test_an_api_client_without_cookies_shows_its_read_point_by_header(pair: ReplicaPair) -> None:
    client = pair.app.test_client(use_cookies=False)
    made = client.post("/api/users", json={"name": "Bot", "email": "bot@example.org", "password": "correct horse"})
    headers = {"Authorization": f"Bearer {made.json['token'] if made.json else ''}"}
    placed = client.post("/api/orders", json={"id": "order-0001", "product": "milk-jug"}, headers=headers)
    assert placed.status_code == 201
    assert client.get("/api/orders/order-0001", headers=headers).status_code == 404, "nothing tells that this client has written"
    headers["X-Read-Point"] = placed.headers["X-Read-Point"]
    assert client.get("/api/orders/order-0001", headers=headers).status_code == 200


def test_a_read_point_that_we_did_not_sign_is_not_asked_for(pair: ReplicaPair) -> None:
    pair.app.test_client().get("/", headers={"X-Read-Point": "1"})
    assert pair.points.asked == []


def test_a_new_customer_logs_in_elsewhere_while_the_replica_lags(pair: ReplicaPair) -> None:
    Browser(pair.app.test_client()).sign_up()
    assert Browser(pair.app.test_client()).send("/login", email="ann@example.org", password="correct horse").status_code == 303


def operational_error(number: int) -> OperationalError:
    return OperationalError("a statement", {}, pymysql.err.OperationalError(number, "said the server"))


@pytest.mark.parametrize("number", [1290, 1836, 1792, 1213, 2003, 2013])
def test_a_write_that_the_database_cannot_take_is_tried_once_and_answered_503(
    pair: ReplicaPair, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def refuse(self: Session) -> None:
        tries.append(number)
        raise operational_error(number)

    browser = Browser(pair.app.test_client())
    browser.get("/sign-up")
    monkeypatch.setattr(Session, "commit", refuse)
    answer = browser.sign_up()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "said the server" not in answer.text
    assert len(tries) == 1


def test_a_read_is_tried_again_then_on_the_writer(pair: ReplicaPair) -> None:
    answers = [operational_error(2013), operational_error(2013), None]

    def query(session: Session) -> str:
        failure = answers.pop(0)
        if failure:
            raise failure
        return str(session.get_bind().engine.url.database)

    assert pair.database.read(query).value.endswith("shop.db")


def test_a_read_fails_when_no_database_answers(pair: ReplicaPair) -> None:
    def query(session: Session) -> None:
        raise operational_error(2003)

    with pytest.raises(UnavailableError, match="cannot be reached"):
        pair.database.read(query)


def test_a_mistake_of_ours_is_no_outage(pair: ReplicaPair) -> None:
    def query(session: Session) -> None:
        raise operational_error(1064)

    with pytest.raises(OperationalError):
        pair.database.read(query)


def test_a_write_stays_done_when_its_read_point_cannot_be_had(pair: ReplicaPair, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(connection: Connection) -> str:
        raise operational_error(2013)

    monkeypatch.setattr(pair.points, "after_commit", lost)
    assert pair.database.write(lambda session: "done").value == "done"


def fail_connections(pair: ReplicaPair, monkeypatch: pytest.MonkeyPatch, *numbers: int) -> list[int]:
    """Lets so many attempts to get a connection to the writer fail, each with its number; gives those that are left."""
    left, connect = list(numbers), pair.database.writer.connect

    def failing() -> Connection:
        if left:
            raise operational_error(left.pop(0))
        return connect()

    monkeypatch.setattr(pair.database.writer, "connect", failing)
    return left


def test_a_connection_that_is_lost_before_its_use_is_followed_by_another(pair: ReplicaPair, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_connections(pair, monkeypatch, 2013)
    assert pair.database.write(lambda session: "done").value == "done"


@pytest.mark.parametrize(("numbers", "left"), [([2013, 2013, 2013], 1), ([2003, 2013], 1)])
def test_a_writer_that_is_away_is_not_asked_for_again_and_again(
    pair: ReplicaPair, monkeypatch: pytest.MonkeyPatch, numbers: list[int], left: int
) -> None:
    remaining = fail_connections(pair, monkeypatch, *numbers)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        pair.database.write(lambda session: "done")
    assert len(remaining) == left


def test_a_broken_rule_of_the_database_reaches_the_caller(pair: ReplicaPair) -> None:
    def change(session: Session) -> None:
        raise IntegrityError("an insert", {}, pymysql.err.IntegrityError(1062, "Duplicate entry"))

    with pytest.raises(IntegrityError):
        pair.database.write(change)


def test_a_point_that_only_the_writer_can_serve_is_never_waited_for(pair: ReplicaPair) -> None:
    with pair.database.reader.connect() as connection:
        assert not GtidReadPoints().reached(connection, WRITER_ONLY, 1)


def test_what_is_said_of_a_failure_names_no_account() -> None:
    failure = OperationalError("", {}, pymysql.err.OperationalError(1045, "Access denied for user 'app_writer'@'10.0.0.1'"))
    assert database.describe(failure) == "OperationalError 1045"
