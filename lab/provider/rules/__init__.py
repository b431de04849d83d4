"""The rules of every implemented type, by token."""

from __future__ import annotations

from typing import Final

from lab.provider.rules import compute, dns, firewall, identity, keys, logs, network, randomness, secrets, storage
from lab.provider.rules.model import TypeRules
from lab.provider.rules.sourced import sourced

_OWN: Final[dict[str, TypeRules]] = {
    **network.RULES,
    **firewall.RULES,
    **compute.RULES,
    **identity.RULES,
    **storage.RULES,
    **secrets.RULES,
    **dns.RULES,
    **logs.RULES,
    **keys.RULES,
    **randomness.RULES,
}

RULES: Final[dict[str, TypeRules]] = {token: sourced(token, rules) for token, rules in _OWN.items()}
