"""`webstack lab quota`: what the lab's AWS account may have."""

from collections.abc import Sequence

from lab.cloud import account
from lab.session import Session
from ops.failures import UserError


def quotas(session: Session, settings: Sequence[str]) -> dict[str, int]:
    """The account's quotas, after those of `settings` (NAME=VALUE) have been changed. Raises UserError."""
    try:
        return account.quotas(session.names.moto_address, dict(_parse(text) for text in settings))
    except ValueError as error:
        raise UserError(str(error)) from None


def _parse(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not equals or not value.isdecimal():
        raise UserError(f"{text!r}: give NAME=VALUE with a whole number, for example vcpus=64")
    return name, int(value)
