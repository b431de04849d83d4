"""The time, as this role's records carry it."""

from datetime import UTC, datetime


def utc_timestamp() -> str:
    """UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
