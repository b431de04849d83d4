"""Rules of Secrets Manager."""

from __future__ import annotations

from typing import Final

from lab.provider.rules.model import TypeRules, names
from lab.provider.rules.validators import arn, base64_text, between, every, length, matches, policy

_NAME: Final = matches(r"[0-9A-Za-z/_+=.@-]+", "letters, digits and /_+=.@-")

RULES: Final[dict[str, TypeRules]] = {
    "aws:secretsmanager/secret:Secret": TypeRules(
        unserved=names("replicas forceOverwriteReplicaSecret type"),
        checks={
            "name": every(length(1, 512), _NAME),
            "namePrefix": every(length(1, 486), _NAME),
            "recoveryWindowInDays": between(7, 30, 0),
            "policy": policy(20480, principal=True),
            "description": length(0, 2048),
        },
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": TypeRules(
        checks={"secretBinary": base64_text, "secretString": length(1, 65536)},
    ),
    "aws:secretsmanager/secretPolicy:SecretPolicy": TypeRules(
        force_new=names("secretArn"),
        checks={"secretArn": arn, "policy": policy(20480, principal=True)},
        documents=names("policy"),
        own=names("blockPublicPolicy"),
    ),
}
