"""Rules of IAM roles, policies and instance profiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lab.provider.rules.model import Problem, TypeRules, names
from lab.provider.rules.validators import arn, between, every, length, matches, policy

_NAME: Final = matches(r"[\w+=,.@-]+", "letters, digits and _+=,.@-")
_PATH: Final = every(length(1, 512), matches(r"/|/[\x21-\x7e]+/", 'a path that begins and ends with "/"'))


def _role(props: dict[str, Any]) -> Iterator[Problem]:
    for name in ("inlinePolicies", "managedPolicyArns"):
        if name in props:
            yield Problem(name, "deprecated, and not implemented by the lab's provider: use RolePolicy or RolePolicyAttachment")


RULES: Final[dict[str, TypeRules]] = {
    "aws:iam/role:Role": TypeRules(
        checks={
            "name": every(length(1, 64), _NAME),
            "namePrefix": every(length(1, 38), _NAME),
            "assumeRolePolicy": policy(4096, principal=True),
            "maxSessionDuration": between(3600, 43200),
            "path": _PATH,
            "permissionsBoundary": arn,
            "description": length(0, 1000),
        },
        whole=_role,
    ),
    "aws:iam/rolePolicy:RolePolicy": TypeRules(
        checks={"name": every(length(1, 128), _NAME), "policy": policy(10240, principal=False)},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": TypeRules(
        force_new=names("role policyArn"), checks={"policyArn": arn}, delete_first=True
    ),
    "aws:iam/instanceProfile:InstanceProfile": TypeRules(
        checks={"name": every(length(1, 128), _NAME), "path": _PATH},
    ),
}
