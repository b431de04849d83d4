"""The two records of a stack's databases in the artifact bucket: the primary, and the guarantee for acknowledged writes.

`database/primary.json` is created once, with a conditional PutObject, and never changed by a host. Only the primary writes
`database/replication.json`; an invalid one counts as missing, and a missing one as degraded.

A host's IAM role needs `s3:ListBucket` on the prefix `database/` to distinguish a missing object from a forbidden one.
"""

import json
from typing import Any, cast

from botocore.exceptions import ClientError
from webstack_host import aws, config

from .boot import PrimaryRecord
from .clock import utc_timestamp
from .observed_state import ReplicationMode

PRIMARY_KEY = "database/primary.json"
REPLICATION_KEY = "database/replication.json"


def read_primary() -> PrimaryRecord | None:
    """Returns the primary's record, or None if there is no claim yet. Raises ClientError if S3 fails, ValueError if it is invalid."""
    found = _read(PRIMARY_KEY)
    if found is None:
        return None
    try:
        return PrimaryRecord(primary=str(found["primary"]), data_id=str(found.get("data_id", "")))
    except KeyError as error:
        raise ValueError(f"{PRIMARY_KEY} has no field {error}") from error


def create_primary(record: PrimaryRecord) -> bool:
    """Claims the stack's database for a host. Returns False if there is a claim already."""
    body = {"version": 1, "primary": record.primary, "data_id": record.data_id, "time": utc_timestamp()}
    try:
        aws.s3().put_object(Bucket=config.load_common().bucket, Key=PRIMARY_KEY, Body=_text(body), IfNoneMatch="*")
    except ClientError as error:
        if _code(error) in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}:
            return False
        raise
    return True


def read_mode() -> ReplicationMode | None:
    """Returns the mode that the last primary recorded; None if there is no valid record."""
    found = _read(REPLICATION_KEY)
    try:
        return ReplicationMode(found["mode"]) if found else None
    except (KeyError, ValueError):
        return None


def write_mode(mode: ReplicationMode, *, primary: str, reason: str) -> None:
    """Records the guarantee for acknowledged writes from now on. Returns once it is stored."""
    aws.put_object(
        REPLICATION_KEY, _text({"version": 1, "mode": mode.value, "primary": primary, "reason": reason, "time": utc_timestamp()})
    )


def _read(key: str) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(aws.fetch_object(key))
    except ClientError as error:
        if _code(error) in {"NoSuchKey", "404"}:
            return None
        raise
    if not isinstance(found, dict):
        raise TypeError(f"{key} is not a JSON object")
    return cast("dict[str, Any]", found)


def _text(body: dict[str, Any]) -> bytes:
    return (json.dumps(body, indent=2) + "\n").encode()


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
