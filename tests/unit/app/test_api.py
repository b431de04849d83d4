"""The JSON API: the same shop for programs."""

from typing import Any, cast

import pytest
from flask import Flask
from shop.model import Order
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse


class ApiClient:
    """An API client without cookies."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client(use_cookies=False)
        self.headers: dict[str, str] = {}

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, headers=self.headers, base_url="https://shop.test")

    def post(self, path: str, sent: object) -> TestResponse:
        return self.client.post(path, json=sent, headers=self.headers, base_url="https://shop.test")

    def sign_up(self, email: str = "bot@example.org") -> None:
        answer = self.post("/api/users", {"name": "Bot", "email": email, "password": "correct horse"})
        assert answer.status_code == 201
        self.headers = {"Authorization": f"Bearer {body(answer)['token']}"}


@pytest.fixture
def program(app: Flask) -> ApiClient:
    made = ApiClient(app)
    made.sign_up()
    return made


def body(answer: TestResponse) -> dict[str, Any]:
    found = answer.get_json()
    assert isinstance(found, dict), answer.text
    return cast("dict[str, Any]", found)


def error(answer: TestResponse) -> str:
    return str(body(answer)["error"])


def test_products_are_listed_and_shown(program: ApiClient) -> None:
    products: list[dict[str, Any]] = body(program.get("/api/products"))["products"]
    assert len(products) == 8
    assert program.get("/api/products/tall-vase").json == next(product for product in products if product["slug"] == "tall-vase")
    assert program.get("/api/products/nothing").status_code == 404


def test_a_repeated_order_is_the_same_order(app: Flask, program: ApiClient) -> None:
    order = {"id": "order-0001", "product": "tall-vase", "quantity": 3}
    first, second = program.post("/api/orders", order), program.post("/api/orders", order)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json == second.json
    assert first.headers["Location"] == "/api/orders/order-0001"
    assert program.get(first.headers["Location"]).json == first.json
    assert body(program.get("/api/orders"))["orders"] == [first.json]
    assert body(first)["total_cents"] == 16200
    with Session(app.extensions["shop"].database.writer) as session:
        assert session.scalars(select(func.count(Order.id))).one() == 1


def test_an_id_used_for_another_order_is_a_conflict(program: ApiClient) -> None:
    program.post("/api/orders", {"id": "order-0001", "product": "tall-vase", "quantity": 3})
    assert program.post("/api/orders", {"id": "order-0001", "product": "tall-vase", "quantity": 4}).status_code == 409
    assert program.post("/api/orders", {"id": "order-0001", "product": "milk-jug", "quantity": 3}).status_code == 409


def test_ids_are_each_customer_s_own(app: Flask, program: ApiClient) -> None:
    other = ApiClient(app)
    other.sign_up("other@example.org")
    for client in (program, other):
        assert client.post("/api/orders", {"id": "order-0001", "product": "tall-vase"}).status_code == 201
    assert len(body(other.get("/api/orders"))["orders"]) == 1


@pytest.mark.parametrize(
    ("order", "status", "message"),
    [
        ({"product": "tall-vase"}, 422, "the body must have these strings: id"),
        ({"id": "short", "product": "tall-vase"}, 422, "8 to 64 letters"),
        ({"id": "order-0001", "product": "tall vase"}, 422, "no such product"),
        ({"id": "order-0001", "product": "tall-vase", "quantity": 21}, 422, "from 1 to 20"),
        ({"id": "order-0001", "product": "tall-vase", "quantity": "2"}, 422, "whole number"),
        ({"id": "order-0001", "product": "tall-vase", "quantity": True}, 422, "whole number"),
        (["order-0001"], 422, "JSON object"),
    ],
)
def test_an_impossible_order_is_told_why(program: ApiClient, order: object, status: int, message: str) -> None:
    answer = program.post("/api/orders", order)
    assert answer.status_code == status
    assert message in error(answer)


def test_nobody_orders_without_a_good_token(app: Flask) -> None:
    stranger = ApiClient(app)
    for authorization in ("", "Bearer", "Bearer made.up.token", "Basic eDp5"):
        stranger.headers = {"Authorization": authorization}
        assert stranger.get("/api/orders").status_code == 401
        assert stranger.post("/api/orders", {"id": "order-0001", "product": "tall-vase"}).status_code == 401


def test_a_browser_s_cookie_opens_nothing_here(app: Flask) -> None:
    client = app.test_client()
    client.post("/api/users", json={"name": "A", "email": "a@example.org", "password": "correct horse"}, base_url="https://shop.test")
    with client.session_transaction(base_url="https://shop.test") as session:
        session["user_id"] = 1
    assert client.get("/api/orders", base_url="https://shop.test").status_code == 401


def test_a_session_is_had_for_the_right_password(app: Flask, program: ApiClient) -> None:
    assert program.post("/api/session", {"email": "bot@example.org", "password": "wrong horse"}).status_code == 401
    answer = program.post("/api/session", {"email": "bot@example.org", "password": "correct horse"})
    assert answer.status_code == 201
    again = ApiClient(app)
    again.headers = {"Authorization": f"bearer {body(answer)['token']}"}
    assert body(again.get("/api/session"))["user"] == {"id": 1, "name": "Bot"}


def test_a_sign_up_tells_what_is_wrong(program: ApiClient) -> None:
    answer = program.post("/api/users", {"name": "Bot", "email": "bot", "password": "x"})
    assert answer.status_code == 422
    assert set(body(answer)["problems"]) == {"email", "password"}
    assert program.post("/api/users", {"name": "B", "email": "bot@example.org", "password": "correct horse"}).status_code == 409


def test_every_error_is_json(program: ApiClient) -> None:
    for answer in (program.get("/api/nothing"), program.get("/api/users"), program.client.post("/api/session", data="no json")):
        assert answer.status_code in {404, 405, 415}
        assert error(answer)
