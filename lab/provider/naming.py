"""Automatic names for resources without a name in the program, as the AWS provider makes them."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import time
from typing import Final

from lab.provider.spec.model import AutoNaming

_DIGITS: Final = 7
_counter: Final = itertools.count(1)


def auto_name(naming: AutoNaming, resource: str, seed: bytes) -> str:
    """Returns the resource's name, a dash and seven hex digits. Raises ValueError if that is longer than AWS accepts.

    seed: the engine's, which differs between preview and update; if empty, the name is random.
    """
    base = resource.lower() if naming.lowercase else resource
    if not naming.suffix:
        return base
    digits = hashlib.sha256(seed + resource.encode()).hexdigest()[:_DIGITS] if seed else secrets.token_hex(4)[:_DIGITS]
    name = f"{base}-{digits}"
    if len(name) > naming.max_length:
        raise ValueError(
            f"the automatic name {name!r} is longer than the {naming.max_length} characters that AWS takes; give {naming.field}"
        )
    return name


def prefixed_unique_id(prefix: str) -> str:
    """Returns a `namePrefix` followed by the 26 digits that the provider adds."""
    return prefix + "".join(str(secrets.randbelow(10)) for _ in range(26))


def request_token() -> str:
    """A request's token as `id.UniqueId` of the Terraform plugin SDK (helper/id/id.go) makes it, 36 characters in sum.

    `terraform-`, the time in UTC to a ten thousandth of a second, a counter. Secrets Manager takes it as the id of a secret's version.
    """
    seconds, rest = divmod(time.time(), 1)
    return f"terraform-{time.strftime('%Y%m%d%H%M%S', time.gmtime(seconds))}{int(rest * 10000):04d}{next(_counter):08x}"
