"""The rights for the engine's own state: a bucket and the key that its secrets are encrypted with.

What Pulumi does there, in pulumi/pulumi: pkg/backend/diy/store.go, state.go, tags.go and lock.go (below `.pulumi` a file of the stack, its
tags, history, backups and journal; a lock for all but previews), meta.go (`meta.yaml`, read by every command and written by the first login
to an empty bucket: whoever may write it can hide every stack of the bucket), pkg/secrets/cloud/manager.go (`Encrypt` for a new stack,
`Decrypt` at every run).
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from ops.permissions.policies import PolicyError, PolicyScope
from ops.permissions.required import DeployerKind
from stack.naming import PROJECT

_BUCKET = re.compile(r"(?:s3://)?(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[A-Za-z0-9_./-]+?))?/?")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9_-]+")

_META: Final = "meta.yaml"
_STACK_FILES: Final = tuple(f".json{packed}" for packed in ("", ".gz", ".zst"))
"""Not `.json*`: a stack's name may hold dots, and that would be another stack's file too."""
_TAGS: Final = ".pulumi-tags"


@dataclass(frozen=True, kw_only=True)
class StateBackend:
    """Where the state is: `s3://bucket` or `s3://bucket/prefix`, and the ARN of the key, if there is one."""

    bucket: str
    key: str | None = None


def state_statements(backend: StateBackend, kind: DeployerKind, scope: PolicyScope) -> list[dict[str, Any]]:
    """The statements for the state of one stack. Raises PolicyError.

    Listing is not narrowed by `s3:prefix`: S3 tells a missing object from a forbidden one (404, not 403) only to who may list the bucket
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, Permissions), such a read has no prefix, and Pulumi must be told.
    """
    found = _BUCKET.fullmatch(backend.bucket)
    if found is None:
        raise PolicyError(f"--state {backend.bucket!r}: the address that `pulumi login` takes; write s3://BUCKET or s3://BUCKET/PREFIX")
    if backend.key is not None and not _KEY.fullmatch(backend.key):
        raise PolicyError(f"--state-key {backend.key!r}: the ARN of a KMS key; write arn:aws:kms:REGION:ACCOUNT:key/ID, not an alias")
    bucket = f"arn:{scope.partition}:s3:::{found['bucket']}"
    root = f"{bucket}/{found['prefix']}/.pulumi" if found["prefix"] else f"{bucket}/.pulumi"
    reads, writes = _objects(kind, scope.stack)
    statements: list[dict[str, Any]] = [
        {"Sid": "StateList", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket]},
        {"Sid": "StateRead", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": sorted(f"{root}/{one}" for one in reads)},
    ]
    if writes:
        actions = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        statements.append({"Sid": "State", "Effect": "Allow", "Action": actions, "Resource": sorted(f"{root}/{one}" for one in writes)})
    if backend.key:
        # GenerateDataKey is for a bucket that encrypts with the same key: S3 asks for it on the writer's behalf.
        uses = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"] if kind == "up" else ["kms:Decrypt"]
        statements.append({"Sid": "StateKey", "Effect": "Allow", "Action": uses, "Resource": [backend.key]})
    return statements


def _objects(kind: DeployerKind, stack: str) -> tuple[list[str], list[str]]:
    """What is read alone, and what is written too, below `.pulumi`."""
    own = f"{PROJECT}/{stack}"
    files = [f"stacks/{own}{end}" for end in (*_STACK_FILES, _TAGS)]
    if kind == "preview":
        return [_META, *files], []
    folders = [f"{folder}/{own}/*" for folder in ("backups", "history", "journal", "locks/organization")]
    return [_META], [*files, *(f"stacks/{own}{end}.bak" for end in _STACK_FILES), *folders]
