"""Reads and changes the quotas of an API server's account (`lab.cloud.emulator.quotas`)."""

import json
from collections.abc import Mapping

from lab import moto_address
from lab.cloud.internal_api import QUOTAS_PATH


def quotas(address: str, changes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Applies `changes` and returns all quotas by name. `address`: `lab.moto_address`. Raises ValueError for an invalid name or value."""
    connection = moto_address.http_connection(address)
    try:
        connection.request("POST" if changes else "GET", QUOTAS_PATH, body=json.dumps(changes) if changes else None)
        answer = connection.getresponse()
        content = json.load(answer)
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(str(content["error"]))
    return content
