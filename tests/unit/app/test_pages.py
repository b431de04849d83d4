"""The shop as people use it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from shop import accounts, login_throttle, logs
from shop.model import Order, User, utc_now
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from zxcvbn.matching import L33T_TABLE, enumerate_l33t_subs, relevant_l33t_subtable

if TYPE_CHECKING:
    from .conftest import Browser

STATIC = Path(__file__).parents[3] / "app" / "static"
PAGES = ["/", "/products/morning-mug", "/sign-up", "/login", "/products/nothing"]


def count_orders(app: Flask) -> int:
    with Session(app.extensions["shop"].database.writer) as session:
        return session.scalars(select(func.count(Order.id))).one()


def test_the_first_page_shows_all_products_with_prices_and_who_answered(browser: "Browser") -> None:
    page = browser.get("/")
    assert page.status_code == 200
    assert len(re.findall(r'<li class="card">', page.text)) == 8
    assert "Morning mug" in page.text
    assert "€ 24.00" in page.text
    assert '<b id="web-host">web-1</b>' in page.text
    assert '<b id="database-host">sqlite</b>' in page.text
    assert page.headers["X-Web-Host"] == "web-1"


def test_who_signs_up_and_orders_sees_the_order(browser: "Browser") -> None:
    assert browser.sign_up().status_code == 303
    done = browser.send("/products/round-teapot", "/products/round-teapot/order", quantity="2")
    assert (done.status_code, done.location) == (303, "/orders")
    orders = browser.get("/orders").text
    assert "Round teapot" in orders
    assert "€ 136.00" in orders


def test_a_form_sent_twice_orders_once(app: Flask, browser: "Browser") -> None:
    browser.sign_up()
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', browser.get("/products/milk-jug").text))
    for _ in range(2):
        again = browser.client.post("/products/milk-jug/order", data=form | {"quantity": "1"}, base_url="https://shop.test")
        assert again.location == "/orders"
    assert count_orders(app) == 1


def test_a_form_without_the_page_s_token_is_refused_and_orders_nothing(app: Flask, browser: "Browser") -> None:
    browser.sign_up()
    forged = {"reference": "a-reference-of-mine", "quantity": "1"}
    answer = browser.client.post("/products/milk-jug/order", data=forged, base_url="https://shop.test")
    assert answer.status_code == 400
    assert "CSRF" in answer.text
    assert count_orders(app) == 0
    assert browser.client.post("/logout", base_url="https://shop.test").status_code == 400


def test_the_token_of_another_visitor_is_refused(browser: "Browser", new_browser: "Callable[[], Browser]") -> None:
    token = re.findall(r'name="csrf_token" value="([^"]*)"', new_browser().get("/login").text)[0]
    browser.get("/login")
    answer = browser.client.post(
        "/login", data={"csrf_token": token, "email": "a@example.org", "password": "x"}, base_url="https://shop.test"
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("quantity", ["0", "21", "-1", "many", ""])
def test_an_impossible_quantity_is_told_and_not_ordered(app: Flask, browser: "Browser", quantity: str) -> None:
    browser.sign_up()
    browser.send("/products/milk-jug", "/products/milk-jug/order", quantity=quantity)
    assert "Not ordered: the quantity must be from 1 to 20." in browser.get("/products/milk-jug").text
    assert count_orders(app) == 0


def test_login_knows_the_password_and_logout_ends_it(browser: "Browser", new_browser: "Callable[[], Browser]") -> None:
    browser.sign_up()
    other = new_browser()
    assert other.send("/login", email="ann@example.org", password="wrong horse").status_code == 401
    assert other.send("/login", email="nobody@example.org", password="correct horse").status_code == 401
    assert other.send("/login", email=" Ann@Example.org", password="correct horse").status_code == 303
    assert other.get("/orders").status_code == 200
    assert other.send("/", "/logout").status_code == 303
    assert other.get("/orders").location == "/login?next=/orders"


def test_a_second_account_with_the_same_address_is_refused(browser: "Browser", new_browser: "Callable[[], Browser]") -> None:
    browser.sign_up()
    again = new_browser().sign_up("ANN@example.org")
    assert again.status_code == 400
    assert "There is an account with this address already." in again.text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "up to 80 characters"),
        ("email", "ann", "does not look like an email address"),
        ("email", "ännchen@example.org", "does not look like an email address"),
        ("password", "short", "12 to 200 characters"),
    ],
)
def test_each_mistake_of_a_sign_up_is_shown_at_its_field(browser: "Browser", field: str, value: str, message: str) -> None:
    good = {"name": "Ann", "email": "ann@example.org", "password": "correct horse"}
    answer = browser.send("/sign-up", **(good | {field: value}))
    assert answer.status_code == 400
    assert re.search(rf'id="{field}-error">[^<]*{message}', answer.text)
    assert "correct horse" not in answer.text


@pytest.mark.parametrize(
    ("target", "goes_to"),
    [
        ("/orders", "/orders"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_to_pages_of_this_shop_only(browser: "Browser", target: str, goes_to: str) -> None:
    assert browser.send("/sign-up", name="Ann", email="ann@example.org", password="correct horse", next=target).location == goes_to


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_strict_and_loads_nothing_from_elsewhere(browser: "Browser", path: str) -> None:
    page = browser.get(path)
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|(?:src|href|action)=\"(?:https?:)?//", page.text)
    for name in re.findall(r'(?:src|href)="/static/([^"?]+)', page.text):
        assert (STATIC / name).is_file()


def test_static_files_change_their_address_with_their_content(browser: "Browser") -> None:
    address = re.findall(r'href="(/static/shop\.css\?v=[0-9a-f]{10})"', browser.get("/").text)[0]
    assert browser.get(address).status_code == 200


def test_the_session_s_cookie_is_for_this_host_over_tls_and_no_script(browser: "Browser") -> None:
    cookie = browser.sign_up().headers["Set-Cookie"]
    assert cookie.startswith("__Host-shop=")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert attribute in cookie
    assert "Domain" not in cookie


def test_an_answer_that_changes_nothing_sends_no_session_over_a_newer_one(browser: "Browser") -> None:
    browser.sign_up()
    browser.get("/")
    assert "Set-Cookie" not in browser.get("/").headers


def test_passwords_are_kept_as_scrypt_at_the_strength_that_owasp_names(
    app: Flask, browser: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert accounts.HASH_METHOD == "scrypt:32768:8:3"
    browser.sign_up()
    with Session(app.extensions["shop"].database.writer) as session:
        kept = session.scalars(select(User.password_hash)).one()
    assert kept.startswith("scrypt:32768:8:3$")
    assert browser.send("/login", email="nobody@example.org", password="correct horse").status_code == 401


def test_only_one_proxy_is_believed(app: Flask) -> None:
    seen: list[str | None] = []

    def look() -> str:
        from flask import request

        seen.append(request.remote_addr)
        return ""

    app.add_url_rule("/look", view_func=look)
    app.test_client().get("/look", headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7"})
    assert seen == ["192.0.2.7"]


def test_a_copy_of_a_session_is_worth_nothing_after_its_logout(app: Flask, browser: "Browser") -> None:
    browser.sign_up()
    copy = browser.client.get_cookie("__Host-shop", domain="shop.test")
    assert copy
    browser.send("/", to="/logout")
    thief = app.test_client()
    thief.set_cookie("__Host-shop", copy.value, domain="shop.test", secure=True)
    assert thief.get("/orders", base_url="https://shop.test").location == "/login?next=/orders"


def test_nobody_may_try_for_a_while_after_ten_failures_whoever_has_the_account(
    browser: "Browser", new_browser: "Callable[[], Browser]", monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_up()
    for email in ("ann@example.org", "nobody@example.org"):
        answers = [new_browser().send("/login", email=email, password="wrong horse") for _ in range(login_throttle.MAX_FAILURES + 1)]
        assert [answer.status_code for answer in answers] == [401] * login_throttle.MAX_FAILURES + [429]
    assert new_browser().send("/login", email="ann@example.org", password="correct horse").status_code == 429
    assert new_browser().send("/login", email="bea@example.org", password="wrong horse").status_code == 401, "others are not meant"
    later = utc_now() + login_throttle.WINDOW
    monkeypatch.setattr(login_throttle, "utc_now", lambda: later)
    assert new_browser().send("/login", email="ann@example.org", password="correct horse").status_code == 303


def test_a_login_forgets_the_failures_before_it(browser: "Browser", new_browser: "Callable[[], Browser]") -> None:
    browser.sign_up()
    for password in (*["wrong horse"] * (login_throttle.MAX_FAILURES - 1), "correct horse", "wrong horse", "correct horse"):
        status = new_browser().send("/login", email="ann@example.org", password=password).status_code
        assert status == (303 if password == "correct horse" else 401)


def test_an_answer_to_a_login_does_not_tell_by_its_database_who_is_a_customer(
    browser: "Browser", new_browser: "Callable[[], Browser]"
) -> None:
    browser.sign_up()
    for email in ("ann@example.org", "nobody@example.org"):
        assert "X-Database-Host" not in new_browser().send("/login", email=email, password="wrong horse").headers


@pytest.mark.parametrize("password", ["password1234", "123456789012", "aaaaaaaaaaaa", "ann@example.org", "qwertyuiop12"])
def test_a_password_that_is_guessed_at_once_is_refused(browser: "Browser", password: str) -> None:
    answer = browser.send("/sign-up", name="Ann", email="ann@example.org", password=password)
    assert answer.status_code == 400
    assert "easy to guess" in answer.text


def test_no_password_takes_seconds_to_judge(browser: "Browser", monkeypatch: pytest.MonkeyPatch) -> None:
    """The library looks at all words of a password once for each way to read its symbols as letters."""
    judged: list[str] = []

    def scored(password: str, _words: list[str]) -> dict[str, int]:
        judged.append(password)
        return {"score": 4}

    monkeypatch.setattr(accounts, "zxcvbn", scored)
    browser.send("/sign-up", name="Ann", email="ann@example.org", password="p4ssw0rd({[<369&#!|1/0$5+7%2@8'*3}" * 3)
    [password] = judged
    assert len(password) == accounts.MAX_SCORED_LENGTH
    assert len(list(enumerate_l33t_subs(relevant_l33t_subtable(password, L33T_TABLE)))) <= 8


@pytest.mark.parametrize("password", ["p@ssw0rd1234", "{omputer1234"])
def test_a_symbol_for_a_letter_makes_a_password_no_better(browser: "Browser", password: str) -> None:
    assert browser.send("/sign-up", name="Ann", email="ann@example.org", password=password).status_code == 400


def test_logins_are_told_without_addresses_and_nobody_forges_a_line(
    app: Flask, browser: "Browser", caplog: pytest.LogCaptureFixture
) -> None:
    browser.sign_up()
    browser.send("/", to="/logout")
    browser.send("/login", email="ann@example.org", password="wrong horse")
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(" of account ")[0] for line in told if line.startswith("login")] == ["login"]
    assert any(line.endswith(" failed") for line in told)
    assert not any("ann@" in line for line in told)
    record = app.logger.makeRecord("shop", 30, "x", 1, "GET %s", ("/a\n[now] INFO: login of ada succeeded\x1b[2J",), None)
    record.request_id = "-"
    assert (
        logs.SingleLineFormatter(logs.FORMAT).format(record).splitlines()[0].endswith(r"GET /a\n[now] INFO: login of ada succeeded\x1b[2J")
    )
