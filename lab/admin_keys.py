"""The access key of a lab's administrator. It allows everything in the lab's account, and therefore running anything on its hosts.

It is random, made when the lab's first daemon starts, and stored in a file that only root can read. A caller's address proves nothing to
the lab's API: every user of this machine, and every page in their browsers, calls from 127.0.0.1.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import LabError
from lab.files import write_atomic
from lab.names import LabNames

_ID_PREFIX = "AKIA"
"""Prefix of long-term access keys; 16 characters follow it: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""
_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class AdminKeysError(LabError):
    """The keys cannot be read; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """An access key id and its secret."""

    access_key_id: str
    secret: str = field(repr=False)

    def environment(self) -> Mapping[str, str]:
        """The environment variables that pass the key to AWS's tools and SDKs."""
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret}


DUMMY_KEY = AccessKey(access_key_id="lab", secret="lab")  # noqa: S106 - no secret
"""A placeholder for an API that does not check keys (`lab.standalone_moto`)."""


def ensure_admin_key(names: LabNames) -> AccessKey:
    """Returns the lab's key and makes it first if there is none. The state folder must exist."""
    if not names.keys_file.exists():
        made = {"access_key_id": _ID_PREFIX + "".join(secrets.choice(_ID_ALPHABET) for _ in range(16)), "secret": secrets.token_urlsafe(30)}
        write_atomic(names.keys_file, json.dumps(made), mode=0o600)
    return read_admin_key(names)


def read_admin_key(names: LabNames) -> AccessKey:
    """Returns the lab's key. Raises AdminKeysError if there is none, or if the caller is not root."""
    try:
        return AccessKey(**json.loads(names.keys_file.read_text()))
    except FileNotFoundError:
        again = f"webstack lab down --lab {names.name}; webstack lab up --lab {names.name}"
        raise AdminKeysError(
            f"lab {names.name!r} has no keys: it has not been started, or by an earlier version. Start it anew: {again}"
        ) from None
    except PermissionError:
        raise AdminKeysError(f"the keys of lab {names.name!r} are root's: run the command as root (sudo)") from None
