"""The API server's private routes, by which the lab's parts speak with it beside AWS's API (see `lab.cloud.moto_server`)."""

from typing import TypedDict

INTERNAL_PREFIX = "/_lab/"
"""No S3 bucket's name may begin so (underscores are not allowed), hence no path of AWS's API."""


def event_path(instance_id: str, event: str, volume_id: str | None = None) -> str:
    """The path to POST to; `event` is a `lab.hypervisor.protocols.MachineEvent`, `volume_id` the volume that it is about, if any."""
    about = f"{instance_id}/volumes/{volume_id}" if volume_id else instance_id
    return f"{INTERNAL_PREFIX}instances/{about}/{event}"


REGIONS_PATH = f"{INTERNAL_PREFIX}regions"
"""The path to GET the regions in use from."""


QUOTAS_PATH = f"{INTERNAL_PREFIX}quotas"
"""The path to GET the account's quotas from, and to POST those to that are to change (`lab.cloud.emulator.quotas`)."""


SESSIONS_PREFIX = f"{INTERNAL_PREFIX}sessions/"
"""With an access key's id behind it, the path to GET a `SessionInfo` from."""


class SessionInfo(TypedDict):
    """A session of a role."""

    secret_access_key: str
    session_token: str
    expiration: float
    """Seconds since 1970."""
    role_arn: str
    session_arn: str
    user_id: str
