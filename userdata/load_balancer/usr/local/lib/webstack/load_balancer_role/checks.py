"""Whether this load balancer serves: the address is here when it is the active one, web hosts are up, HTTPS answers."""

import http.client
import ssl

from webstack_host import services
from webstack_host.config import HostConfig
from webstack_host.readiness import Check
from webstack_host.remembered import Remembered

from load_balancer_role import elastic_ip, haproxy

HOLDER: Remembered[str] = Remembered()
"""The instance that EC2 says has the address."""
BACKENDS = ("web", "web-writes")
"""Both have the same servers, each with checks of its own."""


def check(config: HostConfig) -> Check:
    """HAProxy, the web hosts, a request through the whole way, and last, as it asks the API, the Elastic IP."""
    try:
        statistics = haproxy.ask("show stat")
    except OSError as error:
        return Check(ok=False, reason=f"HAProxy does not run: {error}", units=("haproxy.service",))
    if not services.is_active("keepalived.service"):
        return Check(ok=False, reason="keepalived does not run", units=("keepalived.service",))
    counts: list[int] = []
    detail: list[str] = []
    for backend in BACKENDS:
        states = haproxy.server_states(statistics, backend)
        detail = [f"{server}: {status}, {said}" for server, (status, said) in states.items()]
        counts.append(sum(status.startswith("UP") for status, _ in states.values()))
        if not states:
            return Check(ok=False, reason="DNS names no web host yet")
        if not counts[-1]:
            return Check(ok=False, reason=f"none of {len(states)} web hosts is up", detail=detail)
    try:
        status = https_status()
    except OSError as error:
        return Check(ok=False, reason=f"HTTPS does not answer: {error}", detail=detail, units=("haproxy.service",))
    if status != http.HTTPStatus.OK:
        return Check(ok=False, reason=f"HTTPS answers /healthz with {status}", detail=detail)
    return association(config, f"serves HTTPS from {min(counts)} web host{'s' if min(counts) > 1 else ''}", detail)


def association(config: HostConfig, serves: str, detail: list[str]) -> Check:
    """Whether the Elastic IP is where it should be: here if this is the MASTER, and in any case with somebody.

    EC2 is asked for it rarely, and at once where this host's part has changed.
    """
    master, own = elastic_ip.is_master(), elastic_ip.own_id()
    try:
        holder = HOLDER.get(
            lambda: elastic_ip.holder(config.elastic_ip_allocation_id),
            good=lambda holder: holder == own if master else bool(holder),
            about=master,
        )
    except Exception as error:
        return Check(ok=True, reason=serves, detail=detail, unasked=f"the Elastic IP cannot be asked for: {error}")
    here = holder == own
    if not here and master:
        units = ("webstack-elastic-ip.service", "keepalived.service")
        return Check(ok=False, reason=f"{config.elastic_ip_address} is not associated with this host yet", units=units)
    if not holder:
        return Check(ok=False, reason="keepalived has not become MASTER", units=("keepalived.service",))
    return Check(ok=True, reason=serves, detail=detail, facts={"active": str(here).lower(), "elastic_ip": config.elastic_ip_address})


def https_status() -> int:
    """The status of /healthz by HTTPS from this host; the certificate is not looked at, as it may be for any name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", 443, timeout=5, context=context)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()
