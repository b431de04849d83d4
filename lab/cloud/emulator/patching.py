"""Replacing parts of moto, and the errors that AWS answers with."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from moto.ec2.exceptions import EC2ClientError

F = TypeVar("F", bound=Callable[..., Any])


class MotoChangedError(RuntimeError):
    """This version of moto lacks what a patch replaces."""


def replace(owner: type | ModuleType, name: str, new: object) -> None:
    """Sets `owner.name`, which must exist."""
    original(owner, name)
    setattr(owner, name, new)


def add(owner: type, name: str, new: object) -> None:
    """Sets `owner.name`, which moto does not have. A version that has it may need the patch no more."""
    if hasattr(owner, name):
        raise MotoChangedError(f"moto's {owner.__name__} has {name!r} now; lab/cloud/emulator adds it to moto 5.2.5: look whether it must")
    setattr(owner, name, new)


def original(owner: type | ModuleType, name: str) -> Any:
    """What `owner.name` is now, for a patch that calls it."""
    if not hasattr(owner, name):
        raise MotoChangedError(
            f"moto's {owner.__name__} has no {name!r} any more; lab/cloud/emulator was written for moto 5.2.5: "
            "install that version, or bring the patch up to date"
        )
    return getattr(owner, name)


def ec2_error(code: str, message: str) -> EC2ClientError:
    """An EC2 error as AWS words it; raise it."""
    return EC2ClientError(code, message)
