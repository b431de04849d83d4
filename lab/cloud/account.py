"""Asks an API server for the quotas of its account, and changes them (`lab.cloud.emulator.quotas`)."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from lab.cloud.reports import QUOTAS_PATH


def quotas(endpoint: str, wanted: Mapping[str, int] | None = None) -> dict[str, int]:
    """The quotas by name, after the wanted ones have been changed. Raises ValueError for what is none."""
    body = json.dumps(wanted).encode() if wanted else None
    request = urllib.request.Request(f"{endpoint}{QUOTAS_PATH}", data=body, method="POST" if body else "GET")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ValueError(str(json.load(error)["error"])) from None
