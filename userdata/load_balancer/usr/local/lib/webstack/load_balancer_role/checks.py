"""Whether this load balancer serves: the address is here when it is the active one, web hosts are up, HTTPS answers."""

import socket
import ssl

from webstack_host import answers, services
from webstack_host.answers import Answer
from webstack_host.config import HostConfig
from webstack_host.readiness import Check
from webstack_host.remembered import Remembered

from load_balancer_role import elastic_ip, haproxy, servers, tls

HOLDER: Remembered[str] = Remembered()
"""The instance that EC2 says has the address."""
PATIENCE = 5.0
"""Seconds for an answer by HTTPS."""


def check(config: HostConfig) -> Check:
    """HAProxy, the web hosts, a request through the whole way, and last, as it asks the API, the Elastic IP."""
    try:
        statistics = haproxy.ask("show stat")
    except OSError as error:
        return Check(ok=False, reason=f"HAProxy does not run: {error}", units=("haproxy.service",))
    if not services.is_active("keepalived.service"):
        return Check(ok=False, reason="keepalived does not run", units=("keepalived.service",))
    found = servers.found(statistics)
    facts, detail = found.facts(), found.lines(config.domain)
    count = len(found.up) + len(found.down)
    if not count:
        return Check(ok=False, reason="DNS names no web host yet", facts=facts)
    if not found.serving:
        hosts = f"none of {count} web hosts is up" if count > 1 else "the only web host is not up"
        return Check(ok=False, reason=f"{hosts}: {facts['servers_down']}", detail=detail, facts=facts)
    try:
        answer = https(config.domain)
    except OSError as error:
        return Check(ok=False, reason=f"HTTPS does not answer: {error}", detail=detail, units=("haproxy.service",), facts=facts)
    if not answer.ok:
        reason = f"HTTPS answers /healthz (Host {config.domain}) with {answer.status}"
        return Check(ok=False, reason=reason, detail=[*detail, *answer.lines()], facts=facts)
    return association(config, f"serves HTTPS from {found.serving} web host{'s' if found.serving > 1 else ''}", detail, facts)


def association(config: HostConfig, serves: str, detail: list[str], facts: dict[str, str]) -> Check:
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
        return Check(ok=True, reason=serves, detail=detail, unasked=f"the Elastic IP cannot be asked for: {error}", facts=facts)
    here = holder == own
    if not here and master:
        units = ("webstack-elastic-ip.service", "keepalived.service")
        return Check(ok=False, reason=f"{config.elastic_ip_address} is not associated with this host yet", units=units, facts=facts)
    if not holder:
        return Check(ok=False, reason="keepalived has not become MASTER", units=("keepalived.service",), facts=facts)
    return Check(
        ok=True,
        reason=serves,
        detail=detail,
        facts={**facts, "active": str(here).lower(), "elastic_ip": config.elastic_ip_address, **tls.facts()},
    )


def https(site: str) -> Answer:
    """What this host itself answers by HTTPS to a check of the site; the certificate is not looked at, it may be a test's."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = socket.create_connection(("127.0.0.1", 443), timeout=PATIENCE)
    try:
        encrypted = context.wrap_socket(connection, server_hostname=site)  # an address is no name, and is not sent as one
    except BaseException:
        connection.close()
        raise
    return answers.ask(encrypted, "/healthz", {"Host": site})
