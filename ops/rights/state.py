"""The rights for the engine's own state: a bucket and the key that its secrets are encrypted with.

What Pulumi does there: pkg/backend/diy (state and backups below `.pulumi`, a lock for all but previews, objects listed at login) and
pkg/secrets/cloud/manager.go (`Encrypt` for a new stack, `Decrypt` at every run) of pulumi/pulumi.
"""

import re
from dataclasses import dataclass
from typing import Any

from ops.rights.needs import Who
from ops.rights.policies import Place, RightsError

_BUCKET = re.compile(r"(?:s3://)?(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[\w./-]+?))?/?")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")


@dataclass(frozen=True, kw_only=True)
class State:
    """Where the state is: `s3://bucket` or `s3://bucket/prefix`, and the ARN of the key, if there is one."""

    bucket: str
    key: str | None = None


def state_statements(state: State, who: Who, place: Place) -> list[dict[str, Any]]:
    """The statements for it. Raises RightsError."""
    found = _BUCKET.fullmatch(state.bucket)
    if found is None:
        raise RightsError(f"--state {state.bucket!r}: the address that `pulumi login` takes; write s3://BUCKET or s3://BUCKET/PREFIX")
    if state.key is not None and not _KEY.fullmatch(state.key):
        raise RightsError(f"--state-key {state.key!r}: the ARN of a KMS key; write arn:aws:kms:REGION:ACCOUNT:key/ID, not an alias")
    bucket = f"arn:{place.partition}:s3:::{found['bucket']}"
    folder = f"{found['prefix']}/" if found["prefix"] else ""
    writes = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"] if who == "up" else ["s3:GetObject"]
    statements: list[dict[str, Any]] = [
        {"Sid": "StateList", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket]},
        {"Sid": "State", "Effect": "Allow", "Action": writes, "Resource": [f"{bucket}/{folder}.pulumi/*"]},
    ]
    if state.key:
        # GenerateDataKey is for a bucket that encrypts with the same key: S3 asks for it on the writer's behalf.
        uses = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"] if who == "up" else ["kms:Decrypt"]
        statements.append({"Sid": "StateKey", "Effect": "Allow", "Action": uses, "Resource": [state.key]})
    return statements
