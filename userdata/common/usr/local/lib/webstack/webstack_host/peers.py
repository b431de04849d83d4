"""What the hosts of this host's tier say of themselves, by the records that each writes: its role reads those of its own tier alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

from webstack_host import aws, config, readiness

MAX_AGE = 3 * (readiness.HEARTBEAT + readiness.JITTER) + 30
"""Seconds for which a word counts: three renewals and some more, as `up` takes it."""
FORGET_AFTER = 7 * 24 * 3600
"""Seconds of silence after which a host has left for good: the tier has become smaller. Until then it counts as one that does not serve."""


@dataclass(frozen=True, kw_only=True)
class PeerRecord:
    """The newest record of a host, by its name."""

    host: str
    state: str
    reason: str
    age: float
    """Seconds, by S3's clock alone."""

    @property
    def is_serving(self) -> bool:
        """Whether it says, and said lately, that it serves."""
        return self.state == "ready" and self.age <= MAX_AGE

    def __str__(self) -> str:
        return f"{self.host} is {self.state} ({self.reason}), heard {self.age:.0f} s ago"


def peer_records() -> dict[str, PeerRecord]:
    """Each host of the tier by its name, this one too. Raises what the API raises, and ValueError for a record that is none."""
    newest: dict[str, PeerRecord] = {}
    for key in aws.list_objects(f"hosts/{aws.user_id().partition(':')[0]}:"):
        record = _peer_record(key)
        # An instance that replaced another has its name.
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
