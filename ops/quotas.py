"""`webstack lab quota`: what the lab's AWS account may have."""

from collections.abc import Sequence

from lab.cloud import quota_client
from lab.lab_handle import LabHandle
from ops.errors import UserError


def quotas(session: LabHandle, settings: Sequence[str]) -> dict[str, int]:
    """The account's quotas, after those of `settings` (NAME=VALUE) have been changed. Raises UserError."""
    try:
        return quota_client.quotas(session.names.moto_address, dict(_parse(text) for text in settings))
    except ValueError as error:
        raise UserError(str(error)) from None


def _parse(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not equals or not value.isdecimal():
        raise UserError(f"{text!r}: give NAME=VALUE with a whole number, for example vcpus=64")
    return name, int(value)
