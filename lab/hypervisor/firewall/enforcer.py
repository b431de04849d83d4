"""Keeps the router's firewall as the policy has it: loads the table once, then only what changes."""

import logging
from collections.abc import Callable, Iterable

from lab.hypervisor.firewall.model import NetworkInterface, SecurityGroupSnapshot
from lab.hypervisor.firewall.policy import FirewallPolicy, build_policy
from lab.hypervisor.firewall.ruleset import RouterSide, Ruleset, build_ruleset
from lab.hypervisor.run import CommandError

log = logging.getLogger(__name__)


class Enforcer:
    """The firewall of one router. Not for several threads at once."""

    def __init__(self, interfaces: RouterSide, load: Callable[[str], None]) -> None:
        self._router = interfaces
        self._load = load
        self._loaded: Ruleset | None = None
        self.policy = FirewallPolicy()
        """What is enforced."""

    def enforce(self, snapshot: SecurityGroupSnapshot, interfaces: Iterable[NetworkInterface]) -> None:
        """Makes the router obey. Blocking; raises `CommandError` when nft refuses, and then the old rules still hold."""
        wanted = build_policy(snapshot, interfaces)
        rules = build_ruleset(wanted, self._router)
        if self._loaded is None:
            self._load(rules.full_script())
        elif change := self._loaded.diff_script(rules):
            try:
                self._load(change)
            except CommandError:  # somebody changed the table by hand: start it afresh
                log.exception("the firewall could not be changed, so it is loaded anew")
                self._load(rules.full_script())
        self._loaded, self.policy = rules, wanted
