"""The web hosts as this load balancer sees them: which receive requests, and why others do not."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from webstack_host import http_check

from load_balancer_role import haproxy
from load_balancer_role.haproxy import Server

BACKENDS = ("web", "web-writes")
"""Both backends have the same servers, each with its own checks."""


@dataclass(frozen=True, kw_only=True)
class ServerSummary:
    """All web hosts in DNS. A host is up if its checks have passed in both backends."""

    up: tuple[str, ...]
    """Private addresses."""
    down: Mapping[str, str]
    """Private address → the result of its last check."""
    serving: int
    """How many receive requests from both backends: those that are up, and those not checked yet."""
    error_codes: frozenset[int]
    """The HTTP statuses with which apps have failed the check."""

    def facts(self) -> dict[str, str]:
        """Returns the facts for the readiness record."""
        return {"servers_up": " ".join(self.up), "servers_down": "; ".join(f"{address}: {said}" for address, said in self.down.items())}

    def problems(self, site: str) -> list[str]:
        """Returns what is wrong with each host, and what to change in the app."""
        changes = [text for code in sorted(self.error_codes) if (text := http_check.remedy(code, site=site, setting="web.checkPath"))]
        return [*(f"{address}: {said}" for address, said in self.down.items()), *changes]


def summarize(statistics: str) -> ServerSummary:
    """Summarizes the servers in `show stat`'s output."""
    known: list[dict[str, Server]] = [{server.address: server for server in haproxy.servers(statistics, backend)} for backend in BACKENDS]
    up: list[str] = []
    down: dict[str, str] = {}
    serving, codes = 0, set[int]()
    for address in sorted({address for backend in known for address in backend}, key=ip_address):
        here = [backend.get(address) for backend in known]
        serving += all(server is not None and server.up for server in here)
        unsound = [server for server in here if server is None or not server.healthy]
        if not unsound:
            up.append(address)
            continue
        down[address] = next((server.check_result for server in unsound if server is not None), "not checked yet")
        codes |= {server.code for server in unsound if server is not None and server.code is not None}
    return ServerSummary(up=tuple(up), down=down, serving=serving, error_codes=frozenset(codes))
