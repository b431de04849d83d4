"""The readiness records of the hosts in this host's tier, the only ones that it may read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

from webstack_host import aws, config, readiness

MAX_AGE = 3 * (readiness.HEARTBEAT + readiness.JITTER) + 30
"""Seconds for which a record counts: a little more than three renewals, as for `up`."""
FORGET_AFTER = 7 * 24 * 3600
"""Age in seconds at which a record's host counts as removed from the tier. Until then it counts as not serving."""


@dataclass(frozen=True, kw_only=True)
class PeerRecord:
    """The newest record of a host name."""

    host: str
    state: str
    reason: str
    age: float
    """Seconds, by S3's clock."""

    @property
    def is_serving(self) -> bool:
        """Whether the record says that the host serves, and is recent."""
        return self.state == "ready" and self.age <= MAX_AGE

    def __str__(self) -> str:
        return f"{self.host} is {self.state} ({self.reason}), heard {self.age:.0f} s ago"


def peer_records() -> dict[str, PeerRecord]:
    """Returns each host of the tier by name, including this one. Raises what the API raises, and ValueError for an invalid record."""
    newest: dict[str, PeerRecord] = {}
    for key in aws.list_objects(f"hosts/{aws.user_id().partition(':')[0]}:"):
        record = _peer_record(key)
        # An instance has the name of the one that it replaced.
        if record.age <= FORGET_AFTER and (record.host not in newest or record.age < newest[record.host].age):
            newest[record.host] = record
    return newest


def _peer_record(key: str) -> PeerRecord:
    answer = aws.s3().get_object(Bucket=config.load_common().bucket, Key=key)
    record = cast("Mapping[str, object]", json.loads(answer["Body"].read()))
    date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(UTC)
    return PeerRecord(
        host=str(record.get("host")),
        state=str(record.get("state")),
        reason=str(record.get("reason")),
        age=(now - answer["LastModified"]).total_seconds(),
    )
