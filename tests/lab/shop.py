"""The shop as its customers use it."""

import uuid

import httpx

from tests.lab.load import Shopper

PRODUCT_FIELDS = {"slug", "name", "price_cents"}
PASSWORD = "correct horse battery staple"


def sign_up(client: httpx.Client) -> str:
    """Makes an account and gives its token; the client carries it from now on."""
    answer = client.post("/api/users", json={"name": "Ada", "email": f"{uuid.uuid4().hex}@example.org", "password": PASSWORD})
    assert answer.status_code == 201, f"sign-up: {answer.status_code} {answer.text[:300]}"
    token = str(answer.json()["token"])
    client.headers["Authorization"] = f"Bearer {token}"
    return token


def any_product(client: httpx.Client) -> str:
    """The slug of a product that is for sale."""
    answer = client.get("/api/products")
    assert answer.status_code == 200, f"products: {answer.status_code} {answer.text[:300]}"
    return str(answer.json()["products"][0]["slug"])


def order(client: httpx.Client, product: str, identifier: str) -> httpx.Response:
    """Orders one piece under an id of the client's choice."""
    return client.post("/api/orders", json={"id": identifier, "product": product, "quantity": 1})


def reader(path: str = "/api/products") -> Shopper:
    """A client that only looks."""
    return Shopper(path=path)


def buyer(token: str, product: str) -> Shopper:
    """A client of a customer who orders at every turn."""

    def log_in(client: httpx.Client) -> None:
        client.headers["Authorization"] = f"Bearer {token}"

    return Shopper(path="/api/orders", post=lambda client, identifier: order(client, product, identifier), log_in=log_in)
