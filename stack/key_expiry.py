"""Whether the keys by which hosts know their packages last: told at every preview and `up`, long before one ends."""

from collections.abc import Iterator, Set
from datetime import date
from typing import Final

import pulumi

from stack.problems import Problem
from stack.roles import database
from stack.settings import Settings
from userdata.render import ROOT
from userdata.signing_keys import MYSQL, SIGNING_KEYS, SigningKey

WARNING_DAYS: Final = 180
"""Days before the end of a key from which on it is warned of."""


def key_expiry_problems(settings: Settings, existing_hosts: Set[str], today: date) -> Iterator[Problem]:
    """A key that has expired, where a host that is not in `existing_hosts` could not be made without it. Warns of what expires soon."""
    for key in SIGNING_KEYS:
        left = (key.expires - today).days
        if left > WARNING_DAYS:
            continue
        new = [host for host in database.SPEC.host_names(settings) if host not in existing_hosts]
        if key is MYSQL and left < 0 and new:
            rule = f"a key that signs {key.signs} today; this one ended on {key.expires}, and {' and '.join(new)} could not install MySQL"
            yield Problem(key=_key_file(key), value=key.fingerprint, rule=rule, remedy=_remedy(key))
            continue
        when = f"ends on {key.expires}, in {left} days" if left >= 0 else f"ended on {key.expires}"
        pulumi.log.warn(f"the key for {key.signs} {when}: hosts that are made after it cannot install them. {_remedy(key).capitalize()}")


def _remedy(key: SigningKey) -> str:
    return f"put its maker's next key into {_key_file(key)} and its end into userdata/signing_keys.py ({key.source})"


def _key_file(key: SigningKey) -> str:
    return str(key.path.relative_to(ROOT.parent))
