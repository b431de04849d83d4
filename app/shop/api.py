"""The same as JSON, under /api. Who calls shows the token of his login (`Authorization: Bearer …`); cookies tell nothing about him here.

Read your own writes: a client that keeps cookies has it; another sends the X-Read-Point header of a write's answer with its later reads.
"""

from typing import Any, cast

from flask import Blueprint, abort, jsonify, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.exceptions import TooManyRequests

from . import accounts, catalogue, login_throttle, web
from .accounts import Customer
from .model import Order, Product

blueprint = Blueprint("api", __name__, url_prefix="/api")

TOKEN_LIFETIME = 24 * 3600


@blueprint.get("/products")
def products() -> Any:
    """All products."""
    return jsonify(products=[_product(product) for product in catalogue.products()])


@blueprint.get("/products/<slug>")
def product(slug: str) -> Any:
    """One product."""
    found = catalogue.product(slug)
    if found is None:
        abort(404, "There is no such product.")
    return jsonify(_product(found))


@blueprint.post("/users")
def sign_up() -> Any:
    """Make an account of name, email and password: 201 with a token, 409 when the address has one, 422 with `problems`."""
    form = _required_strings("name", "email", "password")
    problems = accounts.sign_up_problems(**form)
    if problems:
        return jsonify(error="The account is not possible as given.", problems=problems), 422
    try:
        customer = accounts.sign_up(**form)
    except accounts.EmailTakenError:
        abort(409, "There is an account with this address already.")
    return jsonify(_session(customer)), 201


@blueprint.post("/session")
def log_in() -> Any:
    """Log in with email and password: 201 with a token for a day, 401, or 429 where logins to that account have failed too often."""
    try:
        customer = accounts.log_in(**_required_strings("email", "password"))
    except login_throttle.TooManyAttemptsError as error:
        raise TooManyRequests(str(error), retry_after=error.seconds) from None
    if customer is None:
        abort(401, "No account has this email address and password.")
    return jsonify(_session(customer)), 201


@blueprint.get("/session")
def session() -> Any:
    """Who the token belongs to."""
    bearer = _token_claims()
    return jsonify(user={"id": bearer["id"], "name": bearer["name"]})


@blueprint.delete("/session")
def log_out() -> Any:
    """Log out: 204, and no token or session that the customer had until now is worth anything."""
    accounts.log_out(_user_id())
    return "", 204


@blueprint.get("/orders")
def orders() -> Any:
    """The newest orders of the customer, newest first."""
    return jsonify(orders=[_order(order) for order in catalogue.orders(_user_id())])


@blueprint.post("/orders")
def place_order() -> Any:
    """Order `quantity` of `product` (its slug) under an `id` that the client chooses.

    201 when this request made the order, 200 when it was there already, 409 when the id belongs to another order,
    422 when the order is not possible.
    """
    user_id = _user_id()
    form = _required_strings("id", "product")
    quantity = _body().get("quantity", 1)
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        abort(422, "quantity must be a whole number")
    try:
        placed = catalogue.place_order(user_id, form["id"], form["product"], quantity)
    except catalogue.ReferenceUsedError as error:
        abort(409, str(error))
    except catalogue.OrderError as error:
        abort(422, str(error))
    location = {"Location": url_for("api.order", reference=placed.order.reference)}
    return jsonify(_order(placed.order)), 201 if placed.is_new else 200, location


@blueprint.get("/orders/<reference>")
def order(reference: str) -> Any:
    """The customer's order with this id."""
    found = catalogue.order(_user_id(), reference)
    if found is None:
        abort(404, "You have no order with this id.")
    return jsonify(_order(found))


def _body() -> dict[str, Any]:
    body = request.get_json()
    if not isinstance(body, dict):
        abort(422, "the body must be a JSON object")
    return cast("dict[str, Any]", body)


def _required_strings(*names: str) -> dict[str, str]:
    body = _body()
    wrong = [name for name in names if not isinstance(body.get(name), str)]
    if wrong:
        abort(422, f"the body must have these strings: {', '.join(wrong)}")
    return {name: body[name] for name in names}


def _token_serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(web.app_state().settings.session_keys, salt="api-token")


def _session(customer: Customer) -> dict[str, object]:
    user = {"id": customer.id, "name": customer.name}
    return {"token": _token_serializer().dumps({**user, "session_number": customer.session_number}), "user": user}


def _token_claims() -> dict[str, Any]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        claims = _token_serializer().loads(token.strip() if scheme.lower() == "bearer" else "", max_age=TOKEN_LIFETIME)
    except BadSignature:
        claims = None
    if claims is None or not accounts.is_session_valid(int(claims["id"]), claims.get("session_number", 0)):
        abort(401, "Send the header `Authorization: Bearer TOKEN` with the token of POST /api/session.")
    return claims


def _user_id() -> int:
    return int(_token_claims()["id"])


def _product(product: Product) -> dict[str, object]:
    return {
        "slug": product.slug,
        "name": product.name,
        "summary": product.summary,
        "description": product.description,
        "price_cents": product.price_cents,
        "picture": web.static_url(f"products/{product.slug}.svg"),
    }


def _order(order: Order) -> dict[str, object]:
    return {
        "id": order.reference,
        "product": order.product.slug,
        "quantity": order.quantity,
        "total_cents": order.total_cents,
        "created_at": f"{order.created_at.isoformat(timespec='microseconds')}Z",
    }
