"""What hosts run, as files: HAProxy's and Nginx's settings that a deployment's promises rest on, for every choice that a user has."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from annotated_types import Ge
from load_balancer_role.variables import BackendMode, Balance, Limits, LoadBalancerVariables
from web_role.variables import WebVariables
from webstack_host.variables import Bundle, DatabaseEndpoint

from stack import dns
from stack.roles import ROLES
from stack.sections import LimitsSettings, WebSettings
from userdata.render import ROOT, rendered_files

LOAD_BALANCER = LoadBalancerVariables(
    host="lb-1",
    region="eu-central-1",
    zone="dev.webstack.internal",
    bucket="artifacts-1234567",
    role_bundle=Bundle(key="roles/load_balancer/x.tar.gz", sha256="a" * 64),
    secret_prefix="webstack/dev",
    readiness_timeout=600,
    private_address="10.20.0.10",
    peer_address="10.20.16.10",
    elastic_ip_allocation_id="eipalloc-0123456789abcdef0",
    elastic_ip_address="198.51.100.7",
    tls_mode="self-signed",
    tls_secret="",
    domain="198.51.100.7",
    aliases=(),
    balance="roundrobin",
    backend_mode="active-active",
    web_slots=16,
    limits=Limits(**LimitsSettings().model_dump()),
)
WEB = WebVariables(
    host="web-1",
    region="eu-central-1",
    zone="dev.webstack.internal",
    bucket="artifacts-1234567",
    role_bundle=Bundle(key="roles/web/x.tar.gz", sha256="a" * 64),
    readiness_timeout=600,
    app_bundle=Bundle(key="app/x.tar.gz", sha256="b" * 64),
    app_module="wsgi:app",
    load_balancer_addresses=("10.20.0.10", "10.20.16.10"),
    databases=(
        DatabaseEndpoint(host="db-1", address="10.20.128.10"),
        DatabaseEndpoint(host="db-2", address="10.20.144.10"),
    ),
    schema="app",
    secret_prefix="webstack/dev",
    workers=0,
    drain_seconds=12,
    migrate_timeout=600,
    site_host="shop.example",
    check_path="/up/",
    ready_path="/up/deep",
)
DISTRIBUTION_UNITS = {"haproxy.service", "keepalived.service", "nginx.service", "mysql.service", "network-online.target"}
"""Units that Debian's packages bring."""


def sections(text: str) -> dict[str, list[str]]:
    """HAProxy's configuration: section → its lines, without comments."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line.startswith(" "):
            found[name].append(line.strip())
        else:
            name = line.strip()
            assert name not in found, f"{name} stands twice"
            found[name] = []
    return found


def haproxy(variables: LoadBalancerVariables = LOAD_BALANCER) -> dict[str, list[str]]:
    return sections(rendered_files(variables)["/etc/haproxy/haproxy.cfg"])


@pytest.mark.parametrize(("balance", "backend_mode"), list(itertools.product(get_args(Balance), get_args(BackendMode))))
def test_each_balancing_choice_and_backend_mode_gives_its_own_lines_and_leaves_the_rest_alone(
    balance: Balance, backend_mode: BackendMode
) -> None:
    configured = haproxy(replace(LOAD_BALANCER, balance=balance, backend_mode=backend_mode))
    for name in ("backend web", "backend web-writes"):
        backend = configured.pop(name)
        assert backend[0] == f"balance {balance}"
        assert ("hash-type consistent" in backend) == (balance in ("source", "uri")), "a host that leaves moves only its own clients"
        servers = [line for line in backend if line.startswith("server")]
        if backend_mode == "active-passive":
            assert servers == [
                "server-template web 1-16 ipv4@web.dev.webstack.internal:8443 tcp-ut 1500ms",
                "server-template standby 1-16 ipv4@web-standby.dev.webstack.internal:8443 tcp-ut 1500ms backup",
            ]
            assert "option allbackups" in backend
        else:
            assert servers == ["server-template web 1-16 ipv4@web.dev.webstack.internal:8443 tcp-ut 1500ms"]
    plain = haproxy()
    del plain["backend web"], plain["backend web-writes"]
    assert configured == plain


def test_a_web_host_that_vanishes_costs_no_get_and_repeats_no_post() -> None:
    configured = haproxy()
    wanted = {
        "option srvtcpka",
        "srvtcpka-idle 1s",
        "srvtcpka-intvl 1s",
        "srvtcpka-cnt 1",
        "option redispatch 1",
        "timeout connect 400ms",
        "timeout server 30s",
    }
    assert wanted <= set(configured["defaults"])
    assert "use_backend web-writes unless { method GET HEAD OPTIONS }" in configured["frontend https"]
    assert "retry-on conn-failure empty-response" in configured["backend web"]
    assert "retry-on conn-failure" in configured["backend web-writes"]
    assert "option http-server-close" in configured["backend web-writes"], "a kept connection that died is no answer to a POST"
    for backend in ("backend web", "backend web-writes"):
        assert not any("shutdown-sessions" in line for line in configured[backend]), "it cuts requests in flight, which are not retried"
        [server] = [line for line in configured[backend] if line.startswith("server-template ")]
        assert " ipv4@web." in server, "without ipv4@ HAProxy ignores tcp-ut"
        assert server.endswith(" tcp-ut 1500ms")
    assert not list((ROOT / "load_balancer/etc").glob("sysctl.d/*")), "what is the host's is the visitors' connections' too"
    assert all("tcp-ut 30s" in line for lines in configured.values() for line in lines if line.startswith("bind "))


def test_every_wait_of_the_load_balancer_ends_and_its_checks_ask_the_app() -> None:
    configured = haproxy()
    timeouts = dict(line.removeprefix("timeout ").rsplit(maxsplit=1) for line in configured["defaults"] if line.startswith("timeout "))
    assert timeouts == {
        "client-hs": "5s",
        "http-request": "10s",
        "http-keep-alive": "60s",
        "client": "30s",
        "client-fin": "5s",
        "connect": "400ms",
        "server": "30s",
        "queue": "5s",
        "check": "3s",
    }
    for backend in ("backend web", "backend web-writes"):
        checks = [line for line in configured[backend] if line.startswith(("option httpchk", "http-check"))]
        assert checks == [
            "option httpchk",
            "http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host 198.51.100.7 hdr X-Forwarded-Proto https",
            "http-check expect status 200",
        ]


def test_only_an_address_that_left_dns_is_let_go_soon() -> None:
    configured = haproxy()
    resolvers = configured["resolvers vpc"]
    assert "nameserver vpc 169.254.169.253:53" in resolvers
    assert {line for line in resolvers if line.startswith("hold ")} == {
        "hold valid 1s",
        "hold obsolete 2s",
        "hold nx 20d",
        "hold timeout 20d",
        "hold refused 20d",
        "hold other 20d",
    }
    [default] = [line for line in configured["backend web"] if line.startswith("default-server check")]
    assert "init-addr last,none" in default
    assert "resolvers vpc" in default


def test_forwarded_headers_are_the_load_balancers_own() -> None:
    https = haproxy()["frontend https"]
    assert "http-request del-header X-Forwarded- -m beg" in https
    for header in ("Forwarded", "X-Real-IP", "X-Request-ID"):
        assert f"http-request del-header {header}" in https
    assert "http-request set-header X-Forwarded-For %[src]" in https
    assert "http-request set-header X-Forwarded-Proto https" in https
    removed = max(number for number, line in enumerate(https) if line.startswith("http-request del-header"))
    set_again = min(number for number, line in enumerate(https) if line.startswith("http-request set-header"))
    assert removed < set_again
    assert not any("add-header" in line or "forwardfor" in line for line in https)


def test_a_request_is_followed_by_its_id() -> None:
    configured = haproxy()
    assert "unique-id-header X-Request-ID" in configured["frontend https"]
    assert "http-after-response set-header X-Request-ID %[unique-id]" in configured["frontend https"], "on HAProxy's own answers too"
    [log] = [line for line in configured["defaults"] if line.startswith("log-format")]
    assert log.endswith('%ID %si %[var(txn.web_host)]"')
    assert "proxy_set_header X-Request-ID $http_x_request_id;" in (ROOT / "web/etc/nginx/conf.d/proxy.conf").read_text()
    assert "$upstream_response_time $http_x_request_id'" in rendered_files(WEB)["/etc/nginx/nginx.conf"]


def test_every_address_has_limits_on_both_ports_before_it_costs_anything() -> None:
    configured = haproxy()
    [total] = [int(line.split()[1]) for line in configured["global"] if line.startswith("maxconn ")]
    places = [
        int(line.split()[1]) for name in ("frontend http", "frontend https") for line in configured[name] if line.startswith("maxconn ")
    ]
    assert len(places) == 2
    assert sum(places) < total, "whoever fills one port leaves the other, and the status page, open"
    for name in ("frontend http", "frontend https"):
        assert "tcp-request connection track-sc0 src table sources" in configured[name]
        assert "tcp-request connection reject if { sc0_conn_cur gt 500 } || { sc0_conn_rate gt 1000 }" in configured[name]
    assert configured["backend sources"] == ["stick-table type ip size 200k expire 2m store conn_cur,conn_rate(10s),http_req_rate(10s)"]
    refusals = [line for line in configured["frontend https"] if "status 429" in line]
    assert [re.findall(r"hdr Retry-After (\d+) if (.*)", line) for line in refusals] == [
        [("10", "{ sc0_http_req_rate gt 2000 }")],
        [("10", "{ sc1_conn_cur gt 300 }")],
        [("60", "credentials !reads { sc1_gpc0_rate gt 60 }")],
        [("1", "credentials !reads { sc2_gpc0_rate ge 5 }")],
    ]


def test_pages_that_check_passwords_are_known_however_they_are_written() -> None:
    limits = replace(LOAD_BALANCER.limits, credential_paths=("/login", "/admin/login/"))
    https = haproxy(replace(LOAD_BALANCER, limits=limits))["frontend https"]
    assert 'acl credentials path,url_dec,regsub(/+,/,g),rtrim(/) -m str "/login" "/admin/login"' in https
    assert "http-request sc-inc-gpc0(1) if credentials !reads" in https
    none = haproxy(replace(LOAD_BALANCER, limits=replace(LOAD_BALANCER.limits, credential_paths=())))
    assert not any("credentials" in line for lines in none.values() for line in lines)


def test_exempt_networks_have_no_limit_but_the_one_for_all_together() -> None:
    https = haproxy(replace(LOAD_BALANCER, limits=replace(LOAD_BALANCER.limits, exempt_cidrs=("192.0.2.0/24",))))["frontend https"]
    assert "acl exempt src 192.0.2.0/24" in https
    assert "tcp-request connection track-sc0 src table sources unless exempt" in https
    assert "http-request track-sc1 src table requests unless exempt" in https
    assert "http-request track-sc2 int(1) table credentials if credentials !reads" in https


def test_a_site_with_a_name_answers_to_that_name_alone() -> None:
    assert not any("status 421" in line for line in haproxy()["frontend https"]), "without one it is known by whatever leads to it"
    https = haproxy(replace(LOAD_BALANCER, domain="example.com", aliases=("www.example.com",)))["frontend https"]
    [other] = [line for line in https if "status 421" in line]
    assert other.endswith("unless { req.hdr(host),host_only -i example.com }")
    alias = "http-request redirect prefix https://example.com code 308 if { req.hdr(host),host_only -i www.example.com }"
    assert https.index(alias) < https.index(other)


def test_plain_http_is_only_a_way_to_https() -> None:
    configured = haproxy()
    assert configured["frontend http"][-1] == "http-request redirect scheme https code 301"
    named = haproxy(replace(LOAD_BALANCER, domain="shop.example.com"))
    assert named["frontend http"][-1] == "http-request redirect prefix https://shop.example.com code 301", "not where the visitor says"
    assert "bind :443 ssl crt /run/webstack/tls.pem alpn h2,http/1.1 tcp-ut 30s" in configured["frontend https"]
    assert any("Strict-Transport-Security" in line for line in configured["frontend https"])
    assert any("ssl-min-ver TLSv1.2" in line for line in configured["global"])


def test_keepalived_knows_its_peer_before_there_is_one_and_takes_no_role_back() -> None:
    text = rendered_files(LOAD_BALANCER)["/etc/keepalived/keepalived.conf"]
    words = [line.strip() for line in text.splitlines()]
    for wanted in ("state BACKUP", "nopreempt", "check_unicast_src", "unicast_src_ip 10.20.0.10", "10.20.16.10"):
        assert wanted in words
    assert text.count("{") == text.count("}")


def test_the_app_writes_to_the_primary_and_reads_from_a_replica_else_the_primary_else_whoever_answers() -> None:
    configured = sections(rendered_files(WEB)["/etc/webstack/database-proxy.cfg"])
    assert configured["listen writes"] == [
        "bind 127.0.0.1:3306",
        "option httpchk GET /primary",
        "http-check expect status 200",
        "server db-1 10.20.128.10:3306 check",
        "server db-2 10.20.144.10:3306 check",
    ]
    assert configured["listen reads"][:4] == [
        "bind 127.0.0.1:3307",
        "balance leastconn",
        "option httpchk GET /replica",
        "http-check expect status 200",
    ]
    assert configured["listen reads"][4:] == [
        "server db-1 10.20.128.10:3306 check on-marked-up shutdown-backup-sessions",
        "server db-2 10.20.144.10:3306 check on-marked-up shutdown-backup-sessions",
        "server db-1-as-primary 10.20.128.10:3306 track writes/db-1 backup",
        "server db-2-as-primary 10.20.144.10:3306 track writes/db-2 backup",
        "server db-1-as-it-is 10.20.128.10:3306 track answering/db-1 backup",
        "server db-2-as-it-is 10.20.144.10:3306 track answering/db-2 backup",
    ]
    [default] = [line for line in configured["defaults"] if line.startswith("default-server")]
    assert "on-marked-down shutdown-sessions" in default, "after a change of roles no session may stay on the old primary"
    assert "port 9200" in default


def test_a_host_that_drains_has_been_left_before_it_stops() -> None:
    [default] = [line for line in haproxy()["backend web"] if line.startswith("default-server check")]
    [milliseconds] = re.findall(r" inter (\d+)ms ", default)
    [failures] = re.findall(r" fall (\d+) ", default)
    unhealthy = int(milliseconds) / 1000 * int(failures)
    [hold] = [int(seconds) for seconds in re.findall(r"hold obsolete (\d+)s", "\n".join(haproxy()["resolvers vpc"]))]
    ttl = dns.TTL
    [least] = [item.ge for item in WebSettings.model_fields["drain_seconds"].metadata if isinstance(item, Ge)]
    assert least >= unhealthy + ttl + hold + 1, "no drain that the configuration permits is too short for these settings"  # pyright: ignore[reportOperatorIssue] - a whole number


@pytest.mark.parametrize("role", ROLES)
def test_every_unit_that_the_target_wants_is_there_and_nothing_starts_before_the_configuration(role: str) -> None:
    units = ROOT / role / "etc/systemd/system"
    common = ROOT / "common/etc/systemd/system"
    wanted: set[str] = set()
    for folder in (units, common):
        for drop_in in folder.glob("webstack.target.d/*.conf"):
            wanted |= {unit for line in drop_in.read_text().splitlines() if line.startswith("Wants=") for unit in line[6:].split()}
        wanted |= {link.name for link in folder.glob("webstack.target.wants/*")}
    there = {path.name for folder in (units, common) for path in folder.iterdir() if path.is_file()}
    assert wanted
    assert wanted <= there | DISTRIBUTION_UNITS
    for folder in (units, common):
        assert not list(folder.glob("multi-user.target.wants/*"))


def scripts() -> list[Path]:
    """Programs of the hosts without a suffix."""
    found = [path for path in ROOT.rglob("*") if path.is_file() and path.parent.name in ("bin", "sbin")]
    return sorted(path for path in found if path.read_bytes().startswith(b"#!/usr/bin/python3"))


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_every_script_is_python_and_can_be_executed(script: Path) -> None:
    text = script.read_text()
    if script.suffix == ".j2":
        text = rendered_files(WEB)["/" + script.relative_to(ROOT / "common").as_posix().removesuffix(".j2")]
    compile(text, str(script), "exec")
    if script.suffix != ".j2":
        assert script.stat().st_mode & 0o111, "its bundle takes the mode from here"
