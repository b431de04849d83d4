"""Timestamps for this role's records."""

from datetime import UTC, datetime


def utc_timestamp() -> str:
    """Returns the time in UTC, in ISO 8601 with microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
