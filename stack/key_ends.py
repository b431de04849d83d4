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

WARNED_DAYS: Final = 180
"""Days before the end of a key from which on it is warned of."""


def key_problems(settings: Settings, there: Set[str], today: date) -> Iterator[Problem]:
    """A key that has ended, where a host of `settings` that is not `there` could not be made without it. Warns of what ends soon."""
    for key in SIGNING_KEYS:
        left = (key.ends - today).days
        if left > WARNED_DAYS:
            continue
        new = [host for host in database.SPEC.hosts(settings) if host not in there]
        if key is MYSQL and left < 0 and new:
            rule = f"a key that signs {key.signs} today; this one ended on {key.ends}, and {' and '.join(new)} could not install MySQL"
            yield Problem(key=_file(key), value=key.fingerprint, rule=rule, remedy=_remedy(key))
            continue
        when = f"ends on {key.ends}, in {left} days" if left >= 0 else f"ended on {key.ends}"
        pulumi.log.warn(f"the key for {key.signs} {when}: hosts that are made after it cannot install them. {_remedy(key).capitalize()}")


def _remedy(key: SigningKey) -> str:
    return f"put its maker's next key into {_file(key)} and its end into userdata/signing_keys.py ({key.source})"


def _file(key: SigningKey) -> str:
    return str(key.path.relative_to(ROOT.parent))
