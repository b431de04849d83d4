"""The pages that people see."""

import uuid
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for

from . import accounts, catalogue, login_throttle
from .accounts import Customer

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index() -> str:
    """All products."""
    return render_template("index.html", products=catalogue.products())


@blueprint.get("/products/<slug>")
def product(slug: str) -> str:
    """One product, with the form that orders it."""
    found = catalogue.product(slug)
    if found is None:
        abort(404, "There is no such product.")
    # The reference is born with the form: sent twice, it orders once.
    return render_template("product.html", product=found, reference=uuid.uuid4(), most=catalogue.MAX_QUANTITY)


@blueprint.post("/products/<slug>/order")
def order(slug: str) -> Any:
    """Order it."""
    user_id = _user_id()
    if user_id is None:
        flash("Please log in to order.")
        return redirect(url_for("pages.login", next=url_for("pages.product", slug=slug)), 303)
    quantity = request.form.get("quantity", "")
    try:
        catalogue.place_order(user_id, request.form.get("reference", ""), slug, int(quantity) if quantity.isdecimal() else 0)
    except catalogue.OrderError as error:
        flash(f"Not ordered: {error}.")
        return redirect(url_for("pages.product", slug=slug), 303)
    flash("Thank you! Your order is placed.")
    return redirect(url_for("pages.orders"), 303)


@blueprint.get("/orders")
def orders() -> Any:
    """The customer's orders."""
    user_id = _user_id()
    if user_id is None:
        return redirect(url_for("pages.login", next=url_for("pages.orders")), 303)
    return render_template("orders.html", orders=catalogue.orders(user_id))


@blueprint.route("/sign-up", methods=["GET", "POST"])
def sign_up() -> Any:
    """Make an account."""
    form = {name: request.form.get(name, "") for name in ("name", "email", "password")}
    errors: dict[str, str] = {}
    if request.method == "POST":
        errors = accounts.sign_up_problems(**form)
        if not errors:
            try:
                _remember(accounts.sign_up(**form))
            except accounts.EmailTakenError:
                errors = {"email": "There is an account with this address already."}
            else:
                flash(f"Welcome, {session['user_name']}!")
                return redirect(_next(), 303)
    return render_template("sign_up.html", form=form, errors=errors, next=_next()), 400 if errors else 200


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> Any:
    """Log in."""
    email = request.form.get("email", "")
    error, status = "", 200
    if request.method == "POST":
        customer = None
        try:
            customer = accounts.log_in(email, request.form.get("password", ""))
            error, status = "No account has this email address and password.", 401
        except login_throttle.TooManyAttemptsError as refused:
            error, status = str(refused), 429
        if customer is not None:
            _remember(customer)
            flash(f"Welcome back, {customer.name}!")
            return redirect(_next(), 303)
    return render_template("login.html", email=email, error=error, next=_next()), status


@blueprint.post("/logout")
def logout() -> Any:
    """Log out: a copy of this session's cookie is worth nothing from now on."""
    user_id = _user_id()
    session.clear()
    if user_id is not None:
        accounts.log_out(user_id)
    flash("You are logged out.")
    return redirect(url_for("pages.index"), 303)


def _user_id() -> int | None:
    user_id, number = session.get("user_id"), session.get("session_number", 0)
    return user_id if isinstance(user_id, int) and accounts.is_session_valid(user_id, number) else None


def _remember(customer: Customer) -> None:
    """Begin the customer's session afresh, so that nothing planted before the login stays; but what was written stays readable."""
    kept = {name: session[name] for name in ("read_point", "read_point_at") if name in session}
    session.clear()
    session.update(kept, user_id=customer.id, user_name=customer.name, session_number=customer.session_number)
    session.permanent = True


def _next() -> str:
    """Where to go after a login: a page of this shop, never another site."""
    target = request.values.get("next", "")
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/") or target.startswith("//") or "\\" in target:
        return url_for("pages.index")
    return target
