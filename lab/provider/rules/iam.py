"""Rules of IAM roles, policies and instance profiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lab.provider.rules.model import TypeRules, Violation, name_set
from lab.provider.rules.validators import all_of, arn, between, length, matches, policy

_NAME: Final = matches(r"[\w+=,.@-]+", "letters, digits and _+=,.@-")
_PATH: Final = all_of(length(1, 512), matches(r"/|/[\x21-\x7e]+/", 'a path that begins and ends with "/"'))


def _role(props: dict[str, Any]) -> Iterator[Violation]:
    for name in ("inlinePolicies", "managedPolicyArns"):
        if name in props:
            yield Violation(name, "deprecated, and not implemented by the lab's provider: use RolePolicy or RolePolicyAttachment")


RULES: Final[dict[str, TypeRules]] = {
    "aws:iam/role:Role": TypeRules(
        checks={
            "name": all_of(length(1, 64), _NAME),
            "namePrefix": all_of(length(1, 38), _NAME),
            "assumeRolePolicy": policy(4096, principal=True),
            "maxSessionDuration": between(3600, 43200),
            "path": _PATH,
            "permissionsBoundary": arn,
            "description": length(0, 1000),
        },
        cross_check=_role,
    ),
    "aws:iam/rolePolicy:RolePolicy": TypeRules(
        checks={"name": all_of(length(1, 128), _NAME), "policy": policy(10240, principal=False)},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": TypeRules(
        force_new=name_set("role policyArn"), checks={"policyArn": arn}, delete_before_replace=True
    ),
    "aws:iam/instanceProfile:InstanceProfile": TypeRules(
        checks={"name": all_of(length(1, 128), _NAME), "path": _PATH},
    ),
}
