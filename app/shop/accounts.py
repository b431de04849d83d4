"""Customers: what a name, an address and a password must be like, and how passwords are kept."""

import logging
import re
from dataclasses import dataclass

from flask import g
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash, generate_password_hash
from zxcvbn import zxcvbn

from . import login_throttle, web
from .database import UnavailableError
from .model import User

log = logging.getLogger(__name__)

# scrypt by Python's own OpenSSL, so that no compiled wheel is needed; these are parameters that OWASP's password storage cheat sheet names
# as equal to Argon2id's (N=2^15, r=8, p=3: 32 MB).
HASH_METHOD = "scrypt:32768:8:3"
# Compared with when there is no such user, so that the time of an answer does not tell who is a customer.
DUMMY_HASH = (
    "scrypt:32768:8:3$cFqpn9bGcYJtnRCw$"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000"
)
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 200
MIN_STRENGTH_SCORE = 3
"""zxcvbn's score of what is safe from offline guessing where the hash is slow (https://github.com/dropbox/zxcvbn)."""
MAX_SCORED_LENGTH = 72
"""Characters of a password that are judged: the time it takes grows with the square."""
_SYMBOLS = str.maketrans("@{[<(!|$+%", "acccciistx")
"""Symbols that zxcvbn takes for letters, and the letter. Left as they are, it tries each combination of what several for one letter may
stand for (`enumerate_l33t_subs` in its matching.py): seconds of a processor for one password."""
EMAIL_PATTERN = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass(frozen=True)
class Customer:
    """Who is logged in."""

    id: int
    name: str
    email: str
    session_number: int
    """A login holds for as long as this is the customer's."""


class EmailTakenError(Exception):
    """There is an account with this address already."""


def sign_up_problems(name: str, email: str, password: str) -> dict[str, str]:
    """What is wrong with a sign-up, by field; empty when nothing is."""
    found: dict[str, str] = {}
    if not 1 <= len(name.strip()) <= 80 or not name.isprintable():
        found["name"] = "Please give a name of up to 80 characters."
    if len(email.strip()) > 254 or not EMAIL_PATTERN.fullmatch(email.strip().lower()):
        found["email"] = "This does not look like an email address."
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        found["password"] = f"Please choose a password of {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters."
    elif _strength(password, name, email) < MIN_STRENGTH_SCORE:
        found["password"] = (
            "This password is easy to guess. Please choose another, such as four words that have nothing to do with each other."  # noqa: S105 - a message
        )
    return found


def _strength(password: str, name: str, email: str) -> int:
    text, *known = (one.translate(_SYMBOLS) for one in (password[:MAX_SCORED_LENGTH], name[:80], email[:254]))
    return zxcvbn(text, known)["score"]


def sign_up(name: str, email: str, password: str) -> Customer:
    """Make an account of values that have no `sign_up_problems`. Raises EmailTakenError."""
    user = User(name=name.strip(), email=email.strip().lower(), password_hash=generate_password_hash(password, HASH_METHOD))

    def insert(session: Session) -> Customer:
        session.add(user)
        session.flush()
        return _customer(user)

    try:
        made = web.write(insert)
    except IntegrityError:
        raise EmailTakenError from None
    log.info("account %.12s is made", login_throttle.account_key(made.email))
    return made


def log_in(email: str, password: str) -> Customer | None:
    """The customer with this address and password, or None. Raises TooManyAttemptsError where logins to it have failed too often."""
    account = login_throttle.account_key(email)
    failed_lately = login_throttle.require_not_locked(account)

    def find(session: Session) -> User | None:
        return session.scalar(select(User).where(User.email == email.strip().lower()))

    # Who signed up a moment ago on another device may not have reached the replica.
    user = (web.read(find) or web.read_from_writer(find)) if EMAIL_PATTERN.fullmatch(email.strip().lower()) else None
    # Which database was asked would tell who is a customer.
    g.pop("database_host", None)
    if not check_password_hash(user.password_hash if user else DUMMY_HASH, password[:MAX_PASSWORD_LENGTH]) or user is None:
        login_throttle.record_failure(account)
        return None
    login_throttle.record_success(account, failed_lately=failed_lately)
    return _customer(user)


def is_session_valid(user_id: int, session_number: int) -> bool:
    """Whether a login of that number holds still: the customer is there, and has not logged out since."""

    def find(session: Session) -> int | None:
        return session.scalar(select(User.session_number).where(User.id == user_id))

    # Who signed up or logged in a moment ago may not have reached the replica.
    return web.read(find) == session_number or web.read_from_writer(find) == session_number


def log_out(user_id: int) -> None:
    """Ends every session of the customer, on all devices."""

    def end(session: Session) -> None:
        session.execute(update(User).where(User.id == user_id).values(session_number=User.session_number + 1))

    try:
        web.write(end)
    except UnavailableError as error:
        log.warning("the sessions of customer %d could not be ended: %s", user_id, error)
    else:
        log.info("the sessions of customer %d are ended", user_id)


def _customer(user: User) -> Customer:
    return Customer(user.id, user.name, user.email, user.session_number)
