"""Keeps the router's firewall in line with the policy: loads the table once, then only changes."""

import logging
from collections.abc import Callable, Iterable

from lab.hypervisor.firewall.model import NetworkInterface, SecurityGroupSnapshot
from lab.hypervisor.firewall.policy import FirewallPolicy, build_policy
from lab.hypervisor.firewall.ruleset import RouterSide, Ruleset, build_ruleset
from lab.hypervisor.run import CommandError

log = logging.getLogger(__name__)


class Enforcer:
    """The firewall of one router. Not thread-safe."""

    def __init__(self, interfaces: RouterSide, load: Callable[[str], None]) -> None:
        self._router = interfaces
        self._load = load
        self._loaded: Ruleset | None = None
        self.policy = FirewallPolicy()
        """The policy in force."""

    def enforce(self, snapshot: SecurityGroupSnapshot, interfaces: Iterable[NetworkInterface]) -> None:
        """Enforces the policy of these groups. Blocking. Raises `CommandError` if nft fails; the old rules then stay in force."""
        wanted = build_policy(snapshot, interfaces)
        rules = build_ruleset(wanted, self._router)
        if self._loaded is None:
            self._load(rules.full_script())
        elif change := self._loaded.diff_script(rules):
            try:
                self._load(change)
            except CommandError:  # the table was changed by hand: load it anew
                log.exception("the firewall could not be updated; loading all of it anew")
                self._load(rules.full_script())
        self._loaded, self.policy = rules, wanted
