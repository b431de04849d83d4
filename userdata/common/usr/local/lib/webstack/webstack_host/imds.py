"""The instance metadata service, version 2."""

import time
import urllib.request
from functools import cache

BASE = "http://169.254.169.254/latest/"


@cache
def instance_id() -> str:
    """Returns this instance's id, such as i-0123456789abcdef0."""
    return get("meta-data/instance-id").decode()


@cache
def user_data() -> bytes:
    """Returns this boot's raw user data, which changes only while the instance is stopped."""
    return get("user-data")


def get(path: str, *, timeout: float = 30) -> bytes:
    """Returns one document of the service. Retries for `timeout` seconds, then raises OSError, which names the path."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            token = _request("api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}).decode()
            return _request(path, "GET", {"X-aws-ec2-metadata-token": token})
        except OSError as error:
            if time.monotonic() > deadline:
                raise OSError(f"the metadata service did not give {path}: {error}") from error
            time.sleep(0.5)


def _request(path: str, method: str, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(BASE + path, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=3) as answer:
        return answer.read()
