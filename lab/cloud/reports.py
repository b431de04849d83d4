"""The API server's private routes, by which the lab's parts speak with it beside AWS's API (see `lab.cloud.api_server`)."""

from typing import TypedDict

PRIVATE_PREFIX = "/_lab/"
"""No S3 bucket's name may begin so (underscores are not allowed), hence no path of AWS's API."""


def report_path(instance_id: str, report: str) -> str:
    """The path to POST to; `report` is `stopped` or `terminated`."""
    return f"{PRIVATE_PREFIX}instances/{instance_id}/{report}"


REGIONS_PATH = f"{PRIVATE_PREFIX}regions"
"""The path to GET the regions in use from."""


SESSIONS_PREFIX = f"{PRIVATE_PREFIX}sessions/"
"""With an access key's id behind it, the path to GET a `SessionReport` from."""


class SessionReport(TypedDict):
    """A session of a role."""

    secret_access_key: str
    session_token: str
    expiration: float
    """Seconds since 1970."""
    role_arn: str
    session_arn: str
    user_id: str
