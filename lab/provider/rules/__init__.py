"""The rules of every implemented type, by token."""

from __future__ import annotations

from typing import Final

from lab.provider.rules import ec2, iam, kms, logs, random_provider, route53, s3, secrets_manager, security_groups, vpc
from lab.provider.rules.from_spec import with_spec
from lab.provider.rules.model import TypeRules

_OWN: Final[dict[str, TypeRules]] = {
    **vpc.RULES,
    **security_groups.RULES,
    **ec2.RULES,
    **iam.RULES,
    **s3.RULES,
    **secrets_manager.RULES,
    **route53.RULES,
    **logs.RULES,
    **kms.RULES,
    **random_provider.RULES,
}

RULES: Final[dict[str, TypeRules]] = {token: with_spec(token, rules) for token, rules in _OWN.items()}
