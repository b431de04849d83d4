"""How often logins to an account fail: after some, nobody may try for a while, whether or not there is such an account."""

import hashlib
import logging
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from . import web
from .database import UnavailableError
from .model import LoginFailures, utc_now

MAX_FAILURES = 10
"""Failures of an account within WINDOW after which nobody may try until that is over."""
WINDOW = timedelta(minutes=15)
log = logging.getLogger(__name__)


class TooManyAttemptsError(Exception):
    """Nobody may try to log in to this account for `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__("Too many tries for this account. Please wait a quarter of an hour.")
        self.seconds = seconds


def account_key(email: str) -> str:
    """What an account is known by here and in the log: no address is written where none belongs."""
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()


def require_not_locked(account: str) -> bool:
    """Whether a login failed lately. Raises TooManyAttemptsError where too many did."""

    def find(session: Session) -> LoginFailures | None:
        return session.get(LoginFailures, account)

    found = web.read(find)
    if found is None or (left := found.since + WINDOW - utc_now()) <= timedelta():
        return False
    if found.failures >= MAX_FAILURES:
        log.info("login of account %.12s refused: %d failures", account, found.failures)
        raise TooManyAttemptsError(int(left.total_seconds()) + 1)
    return True


def record_failure(account: str) -> None:
    """Counts a failure. A database that takes no writes just then does not keep the answer back."""

    def count(session: Session) -> None:
        now = utc_now()
        session.execute(delete(LoginFailures).where(LoginFailures.since <= now - WINDOW))
        found = session.get(LoginFailures, account, with_for_update=True)
        if found is None:
            session.add(LoginFailures(account=account, failures=1, since=now))
        else:
            found.failures += 1

    log.info("login of account %.12s failed", account)
    try:
        web.app_state().database.write(count)
    except (UnavailableError, IntegrityError) as error:  # another request counts the first one just now
        log.warning("a failed login was not counted: %s", type(error).__name__)


def record_success(account: str, *, failed_lately: bool) -> None:
    """Forgets the failures."""
    log.info("login of account %.12s succeeded", account)
    if failed_lately:
        try:
            web.app_state().database.write(lambda session: session.execute(delete(LoginFailures).where(LoginFailures.account == account)))
        except UnavailableError as error:
            log.warning("failed logins are still counted: %s", type(error).__name__)
