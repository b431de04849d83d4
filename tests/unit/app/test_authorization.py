"""What one customer may see of another, and how long what was handed out is good: tokens, sessions, read points."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest
from flask import Flask
from shop import create_app, migrator, web
from shop.api import TOKEN_LIFETIME
from shop.connections import make_engine
from shop.migrator import MigrationError
from shop.read_points import MAX_LENGTH, WRITER_ONLY, GtidReadPoints
from werkzeug.test import TestResponse

from .conftest import ORIGIN, Browser, settings
from .test_database import ReplicaPair, pair

__all__ = ["pair"]  # a fixture


class FakeTime:
    """The time by which tokens are signed and sessions age."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_900_000_000
        monkeypatch.setattr("itsdangerous.timed.time.time", lambda: self.now)
        monkeypatch.setattr("shop.web.time.time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    return FakeTime(monkeypatch)


def signed_up(app: Flask, email: str) -> Callable[[str], TestResponse]:
    """GET as a customer who shows a token."""
    client = app.test_client(use_cookies=False)
    made = client.post("/api/users", json={"name": "Bot", "email": email, "password": "correct horse"}, base_url=ORIGIN)
    assert made.json is not None
    headers = {"Authorization": f"Bearer {made.json['token']}"}
    placed = client.post("/api/orders", json={"id": f"order-of-{email[0]}", "product": "milk-jug"}, headers=headers, base_url=ORIGIN)
    assert placed.status_code == 201
    return lambda path: client.get(path, headers=headers, base_url=ORIGIN)


def test_nobody_reads_another_customers_order_by_its_id(app: Flask) -> None:
    ann, bob = signed_up(app, "ann@example.org"), signed_up(app, "bob@example.org")
    assert ann("/api/orders/order-of-a").status_code == 200
    assert bob("/api/orders/order-of-a").status_code == 404


def test_a_token_is_good_for_a_day_and_no_longer(app: Flask, clock: FakeTime) -> None:
    ann = signed_up(app, "ann@example.org")
    clock.now += TOKEN_LIFETIME
    assert ann("/api/session").status_code == 200
    clock.now += 1
    assert ann("/api/session").status_code == 401


def with_keys(folder: Path, key: str, *fallbacks: str) -> Flask:
    return create_app(replace(settings(folder), session_key=key, session_key_fallbacks=fallbacks))


OLD, NEW = "the key of yesterday, long enough for signing", "the key of tomorrow, long enough for signing"


@pytest.mark.parametrize(("now", "good"), [((OLD, NEW), True), ((NEW, OLD), True), ((NEW,), False)])
def test_cookies_tokens_and_forms_of_the_old_session_key_are_good_as_long_as_it_is_a_fallback(
    folder: Path, now: tuple[str, ...], good: bool
) -> None:
    old = with_keys(folder, OLD)
    token, browser = signed_up_token(old), Browser(old.test_client())
    browser.sign_up()
    form = browser.get("/products/milk-jug").text
    new = with_keys(folder, *now)
    answer = new.test_client().get("/api/session", headers={"Authorization": f"Bearer {token}"}, base_url=ORIGIN)
    assert (answer.status_code == 200) == good
    visitor = new.test_client()
    cookie = browser.client.get_cookie("__Host-shop", "shop.test")
    assert cookie is not None
    visitor.set_cookie("__Host-shop", cookie.value, domain="shop.test")
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    ordered = visitor.post("/products/milk-jug/order", data={**hidden, "quantity": "1"}, base_url=ORIGIN)
    assert (ordered.headers.get("Location", "") == "/orders") == good, ordered.status_code


def signed_up_token(app: Flask) -> str:
    made = app.test_client().post(
        "/api/users", json={"name": "Bot", "email": "bot@example.org", "password": "correct horse"}, base_url=ORIGIN
    )
    assert made.json is not None
    return str(made.json["token"])


def test_what_was_planted_in_a_session_before_a_login_is_gone_after_it(browser: Browser) -> None:
    browser.sign_up()
    browser.send("/orders", "/logout")
    with browser.client.session_transaction(base_url=ORIGIN) as session:
        session["planted"] = "by somebody else"
    assert browser.send("/login", email="ann@example.org", password="correct horse").status_code == 303
    with browser.client.session_transaction(base_url=ORIGIN) as session:
        assert "planted" not in session
        assert session["user_id"] == 1


@pytest.mark.parametrize("by_header", [True, False], ids=["header", "session"])
def test_a_read_point_is_asked_for_ten_minutes_and_no_longer(pair: ReplicaPair, clock: FakeTime, by_header: bool) -> None:
    client = pair.app.test_client(use_cookies=not by_header)
    if by_header:
        made = client.post("/api/users", json={"name": "Bot", "email": "bot@example.org", "password": "correct horse"}, base_url=ORIGIN)
        headers = {"X-Read-Point": made.headers["X-Read-Point"]}
    else:
        Browser(client).sign_up()
        headers = {}
    for later, asked in ((web.READ_POINT_LIFETIME - 1, True), (2, False)):
        clock.now += later
        pair.points.asked.clear()
        client.get("/api/products", headers=headers, base_url=ORIGIN)
        assert bool(pair.points.asked) is asked


@pytest.mark.parametrize(("length", "point"), [(MAX_LENGTH, "1" * MAX_LENGTH), (MAX_LENGTH + 1, WRITER_ONLY)])
def test_a_read_point_fits_a_cookie_or_stands_for_any_write(length: int, point: str) -> None:
    def execute(_: object) -> SimpleNamespace:
        return SimpleNamespace(scalar_one=lambda: "1" * length)

    connection: Any = SimpleNamespace(execute=execute)
    assert GtidReadPoints().after_commit(connection) == point


@pytest.mark.parametrize(("number", "dropped"), [(1290, True), (1792, True), (1836, True), (1062, False)])
def test_a_connection_to_a_server_that_became_a_replica_is_never_used_again(number: int, dropped: bool) -> None:
    engine = make_engine("mysql+pymysql://app:x@127.0.0.1:3306/app", None, pool_size=1)
    context = SimpleNamespace(original_exception=pymysql.err.OperationalError(number, "said the server"), is_disconnect=False)
    for listener in engine.dialect.dispatch.handle_error:
        listener(context)
    assert context.is_disconnect is dropped


class FakeMigrationConnection:
    """As much of a connection to MySQL as a migration uses. `free`: whether the lock can be had."""

    dialect = SimpleNamespace(name="mysql")
    engine = SimpleNamespace(url=SimpleNamespace(database="app"))
    invalidated = False

    def __init__(self, *, free: bool) -> None:
        self.free = free
        self.executed: list[str] = []

    def execute(self, statement: object, values: dict[str, object]) -> SimpleNamespace:
        self.executed.append(f"{str(statement).split('(')[0]} {values['name']}")
        return SimpleNamespace(scalar_one=lambda: int(self.free))

    def rollback(self) -> None:
        """Nothing was begun."""


@pytest.fixture
def migration(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeMigrationConnection], str]:
    """Migrates a server whose schema is not there yet."""

    def upgrade(connection: FakeMigrationConnection) -> str:
        connection.executed.append("upgrade")
        return "migrated"

    def lacking(_: FakeMigrationConnection) -> str:
        return "the database has no schema yet"

    monkeypatch.setattr(migrator, "schema_problem", lacking)
    monkeypatch.setattr(migrator, "_upgrade", upgrade)
    return lambda server: migrator._migrate_locked(server, 7)  # pyright: ignore[reportPrivateUsage, reportArgumentType]


def test_a_schema_is_changed_only_under_the_schemas_lock(migration: Callable[[FakeMigrationConnection], str]) -> None:
    server = FakeMigrationConnection(free=True)
    assert migration(server) == "migrated"
    assert server.executed == ["SELECT GET_LOCK migrate:app", "upgrade", "DO RELEASE_LOCK migrate:app"]


def test_a_host_that_does_not_get_the_lock_changes_nothing(migration: Callable[[FakeMigrationConnection], str]) -> None:
    server = FakeMigrationConnection(free=False)
    with pytest.raises(MigrationError, match="another host has been migrating for 7 s"):
        migration(server)
    assert "upgrade" not in server.executed
