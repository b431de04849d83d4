"""The API server's private routes, by which it learns that a machine has come to rest (see `lab.cloud.api_server`)."""

PRIVATE_PREFIX = "/_lab/"
"""No S3 bucket's name may begin so (underscores are not allowed), hence no path of AWS's API."""


def report_path(instance_id: str, report: str) -> str:
    """The path to POST to; `report` is `stopped` or `terminated`."""
    return f"{PRIVATE_PREFIX}instances/{instance_id}/{report}"


REGIONS_PATH = f"{PRIVATE_PREFIX}regions"
"""The path to GET the regions in use from."""
