"""Bucket policies: a statement under a condition that no call here meets. moto knows no conditions and applies it to every call.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-securetransport
"""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket

from lab.cloud.emulator.patching import replace


def install() -> None:
    """A Deny of calls without TLS denies nothing: hosts call by HTTPS, and the door on loopback stands for the same."""
    replace(FakeBucket, "get_permission", _get_permission)


def _get_permission(bucket: Any, action: str, resource: str) -> Any:
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    policy: dict[str, Any] = json.loads(bucket.policy)
    given: dict[str, Any] | list[dict[str, Any]] = policy.get("Statement", [])
    statements = given if isinstance(given, list) else [given]
    met = [statement for statement in statements if not _asks_for_no_tls(statement)]
    if not met:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps({**policy, "Statement": met})).is_action_permitted(action, resource)


def _asks_for_no_tls(statement: dict[str, Any]) -> bool:
    wanted = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    return str(wanted).lower() == "false"
