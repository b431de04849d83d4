"""Customers: what a name, an address and a password must be like, and how passwords are kept."""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash

from . import web
from .model import User

# scrypt by Python's own OpenSSL, so that no compiled wheel is needed; these are parameters that OWASP's password storage cheat sheet names
# as equal to Argon2id's (N=2^15, r=8, p=3: 32 MB).
METHOD = "scrypt:32768:8:3"
# Compared with when there is no such user, so that the time of an answer does not tell who is a customer.
NOBODY = (
    "scrypt:32768:8:3$cFqpn9bGcYJtnRCw$"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000"
)
EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass(frozen=True)
class Customer:
    """Who is logged in."""

    id: int
    name: str
    email: str


class EmailTakenError(Exception):
    """There is an account with this address already."""


def problems(name: str, email: str, password: str) -> dict[str, str]:
    """What is wrong with a sign-up, by field; empty when nothing is."""
    found: dict[str, str] = {}
    if not 1 <= len(name.strip()) <= 80 or not name.isprintable():
        found["name"] = "Please give a name of up to 80 characters."
    if len(email.strip()) > 254 or not EMAIL.fullmatch(email.strip().lower()):
        found["email"] = "This does not look like an email address."
    if not 10 <= len(password) <= 200:
        found["password"] = "Please choose a password of 10 to 200 characters."  # noqa: S105 - a message, not a password
    return found


def sign_up(name: str, email: str, password: str) -> Customer:
    """Make an account of values that have no `problems`. Raises EmailTakenError."""
    user = User(name=name.strip(), email=email.strip().lower(), password_hash=generate_password_hash(password, METHOD))

    def insert(session: Session) -> Customer:
        session.add(user)
        session.flush()
        return Customer(user.id, user.name, user.email)

    try:
        return web.write(insert)
    except IntegrityError:
        raise EmailTakenError from None


def log_in(email: str, password: str) -> Customer | None:
    """The customer with this address and password, or None."""

    def find(session: Session) -> User | None:
        return session.scalar(select(User).where(User.email == email.strip().lower()))

    # Who signed up a moment ago on another device may not have reached the replica.
    user = (web.read(find) or web.read_from_writer(find)) if EMAIL.fullmatch(email.strip().lower()) else None
    if not check_password_hash(user.password_hash if user else NOBODY, password[:200]) or user is None:
        return None
    return Customer(user.id, user.name, user.email)
