"""A role's permissions boundary must be an existing managed policy: AWS rejects others, moto accepts any ARN.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html#API_CreateRole_Errors (NoSuchEntity)
"""

from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend

from lab.cloud.emulator.patching import original, replace

_create_role = original(IAMBackend, "create_role")
_put_boundary = original(IAMBackend, "put_role_permissions_boundary")


def install() -> None:
    """Patches the two calls that set a role's boundary."""
    replace(IAMBackend, "create_role", _create)
    replace(IAMBackend, "put_role_permissions_boundary", _put)


def _create(
    self: Any, role_name: str, assume_role_policy_document: str, path: str, permissions_boundary: str | None, *more: Any, **named: Any
) -> Any:
    _require_policy(self, permissions_boundary)
    return _create_role(self, role_name, assume_role_policy_document, path, permissions_boundary, *more, **named)


def _put(self: Any, role_name: str, permissions_boundary: str) -> None:
    _require_policy(self, permissions_boundary)
    _put_boundary(self, role_name, permissions_boundary)


def _require_policy(backend: Any, arn: str | None) -> None:
    if arn and arn not in backend.managed_policies:
        raise NotFoundException(f"Scope ARN: {arn} does not exist or is not attachable.")
