"""When a load balancer calls itself ready."""

import re
from typing import Any

import pytest
from load_balancer_role import checks, elastic_ip, haproxy
from webstack_host.api_cache import CachedQuery
from webstack_host.http_check import CheckResponse

from tests.unit.hosts.conftest import FakePrograms
from tests.unit.hosts.load_balancer.conftest import CONFIG, Ec2
from tests.unit.hosts.load_balancer.statistics import REFUSED, STAT


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, programs: FakePrograms, ec2: Ec2) -> dict[str, Any]:
    """Everything as it is on a ready load balancer; a test takes one thing away."""
    world: dict[str, Any] = {"stat": STAT, "status": 200, "master": True, "now": 0.0}
    ec2.holder = "i-me"

    def ask(_: str) -> str:
        return world["stat"]

    def https(site: str) -> CheckResponse:
        assert site == CONFIG.domain
        return CheckResponse(status=world["status"], body="sorry")

    def is_master() -> bool:
        return world["master"]

    monkeypatch.setattr(checks, "HOLDER_CACHE", CachedQuery[str](clock=lambda: world["now"]))
    monkeypatch.setattr(haproxy, "query", ask)
    monkeypatch.setattr(checks, "get_healthz", https)
    monkeypatch.setattr(elastic_ip, "is_master", is_master)
    return world


def test_a_load_balancer_that_serves_is_ready_and_says_where_the_address_is(running: dict[str, Any]) -> None:
    found = checks.check(CONFIG)
    assert found.ok
    told = {"servers_up": "10.20.64.5", "servers_down": "10.20.80.4: L4CON Connection refused"}
    assert found.facts == {"elastic_ip": "198.51.100.7", "active": "true", **told}
    assert found.reason == "serves HTTPS from 1 web host"


NONE = "none of 2 web hosts is up"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stat": REFUSED.replace("UP,* L7OK,200", "DOWN,L7STS,301")}, f"{NONE}: 10.20.64.5: L7STS 301; 10.20.80.4: L7STS 400"),
        ({"stat": REFUSED.replace("UP,L7OK,200", "DOWN,L4TOUT,")}, f"{NONE}: 10.20.64.5: L4TOUT *; 10.20.80.4: L7STS 400"),
        ({"stat": STAT.replace("UP,", "DOWN,").replace("web2,DOWN", "web2,MAINT")}, "the only web host is not up: *"),
        ({"stat": "# pxname,svname,status,check_status,check_code,last_chk,addr,\n"}, "DNS names no web host yet"),
        ({"status": 503}, "HTTPS answers /healthz (Host 198.51.100.7) with 503"),
    ],
)
def test_what_is_missing_is_the_reason(running: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    running.update(change)
    found = checks.check(CONFIG)
    assert not found.ok
    assert re.fullmatch(re.escape(reason).replace(r"\*", ".*"), found.reason), found.reason
    assert "servers_up" in found.facts, "they are told also by one that does not serve"


def test_readiness_includes_the_association(running: dict[str, Any], ec2: Ec2) -> None:
    ec2.holder = None
    assert checks.check(CONFIG).reason == "198.51.100.7 is not associated with this host yet"
    running["master"] = False
    assert checks.check(CONFIG).reason == "keepalived has not become MASTER"
    ec2.holder = "i-other"
    assert checks.check(CONFIG).ok, "a standby is ready while the other holds the address"


def test_ec2_is_asked_twice_a_minute_for_as_long_as_all_is_well_and_at_once_for_a_new_master(running: dict[str, Any], ec2: Ec2) -> None:
    for second in range(0, 600, 5):
        running["now"] = float(second)
        assert checks.check(CONFIG).ok
    assert len(ec2.calls) == 20
    running["master"], ec2.holder = False, "i-other"
    assert checks.check(CONFIG).facts["active"] == "false"
    running["master"] = True
    assert not checks.check(CONFIG).ok
    ec2.holder = "i-me"
    assert checks.check(CONFIG).ok, "what is not as it should be is asked for at each look"


def test_an_api_that_does_not_answer_makes_no_load_balancer_that_serves_look_failed(
    running: dict[str, Any], ec2: Ec2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(_: str) -> str:
        raise ConnectionError("RequestLimitExceeded")

    holder = elastic_ip.current_holder
    monkeypatch.setattr(elastic_ip, "current_holder", throttled)
    found = checks.check(CONFIG)
    assert (found.ok, found.unverified) == (True, "the Elastic IP cannot be asked for: RequestLimitExceeded")
    monkeypatch.setattr(elastic_ip, "current_holder", holder)
    before = checks.check(CONFIG)
    monkeypatch.setattr(elastic_ip, "current_holder", throttled)
    running["now"] = 1000.0
    assert checks.check(CONFIG) == before, "the last answer stands"


def test_a_service_that_does_not_run_is_the_reason(
    running: dict[str, Any], programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.answers["systemctl is-active --quiet keepalived.service"] = (3, "")
    assert checks.check(CONFIG).reason == "keepalived does not run"
    programs.answers = {"systemctl is-active --quiet webstack-firewall.service": (3, "")}
    assert checks.check(CONFIG).reason == "the firewall's rules are not in force"

    def refused(_: str) -> str:
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(haproxy, "query", refused)
    assert checks.check(CONFIG).reason == "HAProxy does not run: refused"
