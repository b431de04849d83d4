"""Whether this load balancer serves: the address is here when it is the active one, web hosts are up, HTTPS answers."""

import http.client
import ssl

from webstack_host import services
from webstack_host.config import HostConfig
from webstack_host.readiness import Check

from load_balancer_role import elastic_ip, haproxy

BACKEND = "web"


def check(config: HostConfig) -> Check:
    """HAProxy first, then the Elastic IP, then a request through the whole way."""
    try:
        states = haproxy.server_states(haproxy.ask("show stat"), BACKEND)
    except OSError as error:
        return Check(ok=False, reason=f"HAProxy does not run: {error}", detail=services.journal(["haproxy.service"], 10))
    if not services.is_active("keepalived.service"):
        return Check(ok=False, reason="keepalived does not run", detail=services.journal(["keepalived.service"], 10))
    try:
        holds = elastic_ip.associated(config.elastic_ip_allocation_id)
    except Exception as error:
        return Check(ok=False, reason=f"the Elastic IP cannot be asked for: {error}")
    if elastic_ip.is_master() and not holds:
        detail = services.journal(["webstack-elastic-ip.service", "keepalived.service"], 10)
        return Check(ok=False, reason=f"{config.elastic_ip_address} is not associated with this host yet", detail=detail)
    if not elastic_ip.is_master() and not holds and alone(config):
        return Check(ok=False, reason="keepalived has not become MASTER", detail=services.journal(["keepalived.service"], 10))
    return serving(states, {"elastic_ip": config.elastic_ip_address if holds else "", "active": str(holds).lower()})


def alone(config: HostConfig) -> bool:
    """Whether nobody holds the address: then this host must."""
    addresses = elastic_ip.aws.ec2().describe_addresses(AllocationIds=[config.elastic_ip_allocation_id])["Addresses"]
    return not any(address.get("InstanceId") for address in addresses)


def serving(states: dict[str, tuple[str, str]], facts: dict[str, str]) -> Check:
    """Whether a web host is up and a request through HTTPS is answered."""
    up = [server for server, (status, _) in states.items() if status.startswith("UP")]
    detail = [f"{server}: {status}, {said}" for server, (status, said) in states.items()]
    if not states:
        return Check(ok=False, reason="DNS names no web host yet", facts=facts)
    if not up:
        return Check(ok=False, reason=f"none of {len(states)} web hosts is up", detail=detail, facts=facts)
    try:
        status = https_status()
    except OSError as error:
        return Check(ok=False, reason=f"HTTPS does not answer: {error}", detail=services.journal(["haproxy.service"], 10), facts=facts)
    if status != http.HTTPStatus.OK:
        return Check(ok=False, reason=f"HTTPS answers /healthz with {status}", detail=detail, facts=facts)
    return Check(ok=True, reason=f"serves HTTPS from {len(up)} web hosts", detail=detail, facts={**facts, "web_hosts_up": str(len(up))})


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
