"""Helpers to replace parts of moto and to raise AWS's errors."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from moto.ec2.exceptions import EC2ClientError

F = TypeVar("F", bound=Callable[..., Any])


class MotoChangedError(RuntimeError):
    """This version of moto does not fit a patch: it lacks what the patch replaces, or has what it adds."""


def replace(owner: type | ModuleType, name: str, new: object) -> None:
    """Replaces `owner.name`. Raises MotoChangedError if it does not exist."""
    original(owner, name)
    setattr(owner, name, new)


def add(owner: type, name: str, new: object) -> None:
    """Adds `owner.name`. Raises MotoChangedError if moto has it, since the patch may no longer be needed."""
    if hasattr(owner, name):
        raise MotoChangedError(f"moto's {owner.__name__} has {name!r} now; lab/cloud/emulator adds it to moto 5.2.5: check whether it must")
    setattr(owner, name, new)


def original(owner: type | ModuleType, name: str) -> Any:
    """Returns the current `owner.name`, for a patch that calls it. Raises MotoChangedError if it does not exist."""
    if not hasattr(owner, name):
        raise MotoChangedError(
            f"moto's {owner.__name__} has no {name!r} any more; lab/cloud/emulator was written for moto 5.2.5: "
            "install that version, or bring the patch up to date"
        )
    return getattr(owner, name)


def ec2_error(code: str, message: str) -> EC2ClientError:
    """Returns an EC2 error with AWS's code and message, to be raised."""
    return EC2ClientError(code, message)
