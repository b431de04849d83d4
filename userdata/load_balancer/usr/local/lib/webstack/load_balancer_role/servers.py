"""The web hosts as this load balancer finds them: which get requests, which do not and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from webstack_host import http_check

from load_balancer_role import haproxy
from load_balancer_role.haproxy import Server

BACKENDS = ("web", "web-writes")
"""Both have the same servers, each with checks of its own."""


@dataclass(frozen=True, kw_only=True)
class ServerSummary:
    """Every web host that DNS names. A host is up where both backends have checked it with success."""

    up: tuple[str, ...]
    """Private addresses."""
    down: Mapping[str, str]
    """Private address → what became of its last check."""
    serving: int
    """How many get requests from both backends: those that are up, and those whose word is not certain yet."""
    error_codes: frozenset[int]
    """The statuses by which apps have refused the check."""

    def facts(self) -> dict[str, str]:
        """As the host's record holds them."""
        return {"servers_up": " ".join(self.up), "servers_down": "; ".join(f"{address}: {said}" for address, said in self.down.items())}

    def problems(self, site: str) -> list[str]:
        """What is wrong, host by host, and what to change in the app."""
        changes = [text for code in sorted(self.error_codes) if (text := http_check.remedy(code, site=site, setting="web.checkPath"))]
        return [*(f"{address}: {said}" for address, said in self.down.items()), *changes]


def summarize(statistics: str) -> ServerSummary:
    """The servers in `show stat`'s answer."""
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
