"""Products and orders."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from . import web
from .model import Order, Product

MAX_QUANTITY = 20
MAX_LISTED_ORDERS = 50
REFERENCE_PATTERN = re.compile(r"[A-Za-z0-9._-]{8,64}")


class OrderError(Exception):
    """The order is not possible; the text says why."""


class ReferenceUsedError(OrderError):
    """The reference belongs to another order of this customer."""


@dataclass(frozen=True)
class PlacedOrder:
    """An order, and whether this very request made it."""

    order: Order
    is_new: bool


def products() -> Sequence[Product]:
    """All products."""
    return web.read(lambda session: session.scalars(select(Product).order_by(Product.id)).all())


def product(slug: str) -> Product | None:
    """The product at this address."""
    return web.read(lambda session: session.scalar(select(Product).where(Product.slug == slug))) if slug.isascii() else None


def orders(user_id: int) -> Sequence[Order]:
    """A customer's newest orders, newest first."""
    query = select(Order).where(Order.user_id == user_id).order_by(Order.id.desc()).limit(MAX_LISTED_ORDERS)
    return web.read(lambda session: session.scalars(query).all())


def order(user_id: int, reference: str) -> Order | None:
    """One order of a customer."""
    if not REFERENCE_PATTERN.fullmatch(reference):
        return None
    return web.read(lambda session: _by_reference(session, user_id, reference))


def place_order(user_id: int, reference: str, slug: str, quantity: int) -> PlacedOrder:
    """Order a product, once for each reference, however often it is asked for. Raises OrderError."""
    if not REFERENCE_PATTERN.fullmatch(reference):
        raise OrderError("the order's id must have 8 to 64 letters, digits, dots, dashes or underscores")
    if not 1 <= quantity <= MAX_QUANTITY:
        raise OrderError(f"the quantity must be from 1 to {MAX_QUANTITY}")
    wanted = product(slug)
    if wanted is None:
        raise OrderError("there is no such product")

    def insert(session: Session) -> PlacedOrder:
        made = Order(
            user_id=user_id,
            reference=reference,
            product=session.merge(wanted, load=False),
            quantity=quantity,
            unit_price_cents=wanted.price_cents,
        )
        session.add(made)
        session.flush()
        return PlacedOrder(made, is_new=True)

    def existing(session: Session) -> PlacedOrder | None:
        found = _by_reference(session, user_id, reference)
        return found and PlacedOrder(found, is_new=False)

    try:
        return web.write(insert)
    except IntegrityError:
        # By web.write, so that the client's next read sees the order that its lost first request made.
        placed = web.write(existing)
    if placed is None:
        raise OrderError("this account is no longer there: please sign up again")
    if (placed.order.product_id, placed.order.quantity) != (wanted.id, quantity):
        raise ReferenceUsedError("this id belongs to another order of yours: choose a new one")
    return placed


def _by_reference(session: Session, user_id: int, reference: str) -> Order | None:
    return session.scalar(select(Order).where(Order.user_id == user_id, Order.reference == reference))
