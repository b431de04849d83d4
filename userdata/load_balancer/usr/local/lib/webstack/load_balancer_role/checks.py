"""Checks whether this load balancer serves: web hosts are up, HTTPS answers, and the Elastic IP is here if this host is active."""

import socket
import ssl

from webstack_host import http_check, services
from webstack_host.api_cache import CachedQuery
from webstack_host.http_check import CheckResponse
from webstack_host.readiness import CheckResult

from load_balancer_role import elastic_ip, haproxy, servers, tls
from load_balancer_role.variables import LoadBalancerVariables

HOLDER_CACHE: CachedQuery[str] = CachedQuery()
"""The instance that has the address, according to EC2."""
TIMEOUT = 5.0
"""Seconds that an HTTPS response may take."""


def check(variables: LoadBalancerVariables) -> CheckResult:
    """Checks HAProxy, the web hosts, a complete request, and last, because it calls the API, the Elastic IP."""
    try:
        statistics = haproxy.query("show stat")
    except OSError as error:
        return CheckResult(ok=False, reason=f"HAProxy does not run: {error}", units=("haproxy.service",))
    if not services.is_active("keepalived.service"):
        return CheckResult(ok=False, reason="keepalived does not run", units=("keepalived.service",))
    if not services.is_active(services.FIREWALL):  # it would serve, but a single client could exhaust it
        return CheckResult(ok=False, reason="the firewall's rules are not in force", units=(services.FIREWALL,))
    found = servers.summarize(statistics)
    facts, detail = found.facts(), found.problems(variables.domain)
    count = len(found.up) + len(found.down)
    if not count:
        return CheckResult(ok=False, reason="DNS names no web host yet", facts=facts)
    if not found.serving:
        hosts = f"none of {count} web hosts is up" if count > 1 else "the only web host is not up"
        return CheckResult(ok=False, reason=f"{hosts}: {facts['servers_down']}", detail=detail, facts=facts)
    try:
        answer = get_healthz(variables.domain)
    except OSError as error:
        return CheckResult(ok=False, reason=f"HTTPS does not answer: {error}", detail=detail, units=("haproxy.service",), facts=facts)
    if not answer.ok:
        reason = f"HTTPS answers /healthz (Host {variables.domain}) with {answer.status}"
        return CheckResult(ok=False, reason=reason, detail=[*detail, *answer.excerpt()], facts=facts)
    return check_association(variables, f"serves HTTPS from {found.serving} web host{'s' if found.serving > 1 else ''}", detail, facts)


def check_association(variables: LoadBalancerVariables, serves: str, detail: list[str], facts: dict[str, str]) -> CheckResult:
    """Checks that the Elastic IP is associated: with this host if it is the MASTER, else with any.

    EC2 is called rarely, and immediately when this host's role has changed.
    """
    master, own = elastic_ip.is_master(), elastic_ip.own_id()
    try:
        holder = HOLDER_CACHE.get(
            lambda: elastic_ip.current_holder(variables.elastic_ip_allocation_id),
            is_good=lambda holder: holder == own if master else bool(holder),
            key=master,
        )
    except Exception as error:
        return CheckResult(ok=True, reason=serves, detail=detail, unverified=f"the Elastic IP cannot be asked for: {error}", facts=facts)
    here = holder == own
    if not here and master:
        units = ("webstack-elastic-ip.service", "keepalived.service")
        reason = f"{variables.elastic_ip_address} is not associated with this host yet"
        return CheckResult(ok=False, reason=reason, units=units, facts=facts)
    if not holder:
        return CheckResult(ok=False, reason="keepalived has not become MASTER", units=("keepalived.service",), facts=facts)
    return CheckResult(
        ok=True,
        reason=serves,
        detail=detail,
        facts={**facts, "active": str(here).lower(), "elastic_ip": variables.elastic_ip_address, **tls.facts(variables)},
    )


def get_healthz(site: str) -> CheckResponse:
    """Requests the site's health check from this host over HTTPS. The certificate is not verified, since it may be self-signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = socket.create_connection(("127.0.0.1", 443), timeout=TIMEOUT)
    try:
        encrypted = context.wrap_socket(connection, server_hostname=site)  # an IP address is not sent as SNI
    except BaseException:
        connection.close()
        raise
    return http_check.get(encrypted, "/healthz", {"Host": site})
