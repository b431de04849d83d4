"""The keys of a lab's administrator: whoever signs with them may do everything in the lab's account, and so run anything on its hosts.

They are random, made when the lab's first daemon starts, and lie in a file that root alone can read: for the lab's API no address is a
proof of anything, since every user of this machine, and every page in their browsers, calls from 127.0.0.1.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import LabError
from lab.files import write_atomic
from lab.names import LabNames

_ID_PREFIX = "AKIA"
"""Of long-term access keys, with 16 characters after it: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""
_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class AdminKeysError(LabError):
    """The keys cannot be had; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """An access key and its secret."""

    access_key_id: str
    secret: str = field(repr=False)

    def environment(self) -> Mapping[str, str]:
        """The variables by which AWS's tools and SDKs take them."""
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret}


DUMMY_KEY = AccessKey(access_key_id="lab", secret="lab")  # noqa: S106 - no secret
"""For an API that checks none (`lab.standalone_moto`)."""


def ensure_admin_key(names: LabNames) -> AccessKey:
    """The lab's keys, made where it has none; its state folder is there."""
    if not names.keys_file.exists():
        made = {"access_key_id": _ID_PREFIX + "".join(secrets.choice(_ID_ALPHABET) for _ in range(16)), "secret": secrets.token_urlsafe(30)}
        write_atomic(names.keys_file, json.dumps(made), mode=0o600)
    return read_admin_key(names)


def read_admin_key(names: LabNames) -> AccessKey:
    """The lab's keys. Raises AdminKeysError where it has none, and for all but root."""
    try:
        return AccessKey(**json.loads(names.keys_file.read_text()))
    except FileNotFoundError:
        again = f"webstack lab down --lab {names.name}; webstack lab up --lab {names.name}"
        raise AdminKeysError(
            f"lab {names.name!r} has no keys: it has not been started, or by an earlier version. Start it anew: {again}"
        ) from None
    except PermissionError:
        raise AdminKeysError(f"the keys of lab {names.name!r} are root's: run the command as root (sudo)") from None
