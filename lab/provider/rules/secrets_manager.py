"""Rules of Secrets Manager."""

from __future__ import annotations

from typing import Final

from lab.provider.rules.model import TypeRules, name_set
from lab.provider.rules.validators import all_of, arn, base64_text, between, length, matches, policy

_NAME: Final = matches(r"[0-9A-Za-z/_+=.@-]+", "letters, digits and /_+=.@-")

RULES: Final[dict[str, TypeRules]] = {
    "aws:secretsmanager/secret:Secret": TypeRules(
        unsupported=name_set("replicas forceOverwriteReplicaSecret type"),
        checks={
            "name": all_of(length(1, 512), _NAME),
            "namePrefix": all_of(length(1, 486), _NAME),
            "recoveryWindowInDays": between(7, 30, 0),
            "policy": policy(20480, principal=True),
            "description": length(0, 2048),
        },
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": TypeRules(
        checks={"secretBinary": base64_text, "secretString": length(1, 65536)},
    ),
    "aws:secretsmanager/secretPolicy:SecretPolicy": TypeRules(
        force_new=name_set("secretArn"),
        checks={"secretArn": arn, "policy": policy(20480, principal=True)},
        json_documents=name_set("policy"),
        local_only=name_set("blockPublicPolicy"),
    ),
}
