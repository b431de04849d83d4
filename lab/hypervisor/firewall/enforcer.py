"""Keeps the router's firewall as the policy has it: loads the table once, then only what changes."""

import logging
from collections.abc import Callable, Iterable

from lab.hypervisor.firewall.facts import Interface, Rulebook
from lab.hypervisor.firewall.policy import Policy, policy
from lab.hypervisor.firewall.ruleset import Ruleset, Surfaces, ruleset
from lab.hypervisor.run import CommandError

log = logging.getLogger(__name__)


class Enforcer:
    """The firewall of one router. Not for several threads at once."""

    def __init__(self, surfaces: Surfaces, load: Callable[[str], None]) -> None:
        self._surfaces = surfaces
        self._load = load
        self._loaded: Ruleset | None = None
        self.policy = Policy()
        """What is enforced."""

    def enforce(self, rulebook: Rulebook, interfaces: Iterable[Interface]) -> None:
        """Makes the router obey. Blocking; raises `CommandError` when nft refuses, and then the old rules still hold."""
        wanted = policy(rulebook, interfaces)
        rules = ruleset(wanted, self._surfaces)
        if self._loaded is None:
            self._load(rules.load())
        elif change := self._loaded.difference(rules):
            try:
                self._load(change)
            except CommandError:  # somebody changed the table by hand: start it afresh
                log.exception("the firewall could not be changed, so it is loaded anew")
                self._load(rules.load())
        self._loaded, self.policy = rules, wanted
