"""The API server's private routes for the lab's own parts, beside AWS's API (see `lab.cloud.moto_server`)."""

from typing import TypedDict

INTERNAL_PREFIX = "/_lab/"
"""The prefix of the routes. No path of AWS's API starts with it, since S3 bucket names may not contain underscores."""


def event_path(instance_id: str, event: str, volume_id: str | None = None) -> str:
    """Returns the path to POST an event to: a `lab.hypervisor.protocols.MachineEvent`, with the volume that it is about, if any."""
    about = f"{instance_id}/volumes/{volume_id}" if volume_id else instance_id
    return f"{INTERNAL_PREFIX}instances/{about}/{event}"


REGIONS_PATH = f"{INTERNAL_PREFIX}regions"
"""The path to GET the regions in use."""


QUOTAS_PATH = f"{INTERNAL_PREFIX}quotas"
"""The path to GET the account's quotas and to POST changes to them (`lab.cloud.emulator.quotas`)."""


SESSIONS_PREFIX = f"{INTERNAL_PREFIX}sessions/"
"""Followed by an access key id, the path to GET a `SessionInfo`."""


class SessionInfo(TypedDict):
    """A role's session."""

    secret_access_key: str
    session_token: str
    expiration: float
    """Seconds since 1970."""
    role_arn: str
    session_arn: str
    user_id: str
