"""Asks an API server for the quotas of its account, and changes them (`lab.cloud.emulator.quotas`)."""

import json
from collections.abc import Mapping

from lab import bare_api
from lab.cloud.reports import QUOTAS_PATH


def quotas(address: str, wanted: Mapping[str, int] | None = None) -> dict[str, int]:
    """The quotas by name, after the wanted ones have been changed. `address`: `lab.bare_api`. Raises ValueError for what is none."""
    connection = bare_api.connection(address)
    try:
        connection.request("POST" if wanted else "GET", QUOTAS_PATH, body=json.dumps(wanted) if wanted else None)
        answer = connection.getresponse()
        content = json.load(answer)
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(str(content["error"]))
    return content
