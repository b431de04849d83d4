"""Bucket policies: moto supports neither conditions nor principals and would apply every statement to every call.

The lab's API gateway authorizes hosts' calls by the whole policy (`lab.cloud.iam`). What is left for moto are the calls of programs on this
machine with the administrator's key.
"""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket

from lab.cloud.emulator.patching import replace

_EVERYBODY: tuple[Any, ...] = ("*", {"AWS": "*"}, {"AWS": ["*"]})


def install() -> None:
    """Limits moto to statements for every principal and without a condition."""
    replace(FakeBucket, "get_permission", _get_permission)


def _get_permission(bucket: Any, action: str, resource: str) -> Any:
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    policy: dict[str, Any] = json.loads(bucket.policy)
    given: dict[str, Any] | list[dict[str, Any]] = policy.get("Statement", [])
    statements = given if isinstance(given, list) else [given]
    met = [statement for statement in statements if not statement.get("Condition") and statement.get("Principal") in _EVERYBODY]
    if not met:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps({**policy, "Statement": met})).is_action_permitted(action, resource)
