"""`webstack lab quota`: what the lab's AWS account may have."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence

from lab.cloud.reports import QUOTAS_PATH
from lab.session import Session
from ops.failures import UserError


def quotas(session: Session, settings: Sequence[str]) -> dict[str, int]:
    """The account's quotas, after those of `settings` (NAME=VALUE) have been changed. Raises UserError."""
    wanted = dict(_parse(text) for text in settings)
    body = json.dumps(wanted).encode() if wanted else None
    request = urllib.request.Request(f"{session.names.moto_endpoint}{QUOTAS_PATH}", data=body, method="POST" if body else "GET")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise UserError(str(json.load(error)["error"])) from None


def _parse(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not equals or not value.isdecimal():
        raise UserError(f"{text!r}: give NAME=VALUE with a whole number, for example vcpus=64")
    return name, int(value)
