"""The rules of every implemented type, by token."""

from __future__ import annotations

from typing import Final

from lab.provider.rules import compute, dns, firewall, identity, keys, logs, network, randomness, secrets, storage
from lab.provider.rules.model import TypeRules

RULES: Final[dict[str, TypeRules]] = {
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
