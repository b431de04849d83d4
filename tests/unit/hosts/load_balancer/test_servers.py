"""Which web hosts are up, and what is said of those that are not."""

import pytest
from load_balancer_role import servers

from tests.unit.hosts.load_balancer.statistics import REFUSED, STAT


@pytest.mark.parametrize(
    ("stat", "up", "down", "serving"),
    [
        (STAT, "10.20.64.5", "10.20.80.4: L4CON Connection refused", 1),
        (REFUSED, "10.20.64.5", "10.20.80.4: L7STS 400", 1),
        (STAT.replace("web-writes,web1,UP", "web-writes,web1,DOWN"), "", "10.20.64.5: checks have not passed often enough yet; *", 0),
        (STAT.replace("web-writes,web1,UP,L7OK,200", "web-writes,web1,UP 1/2,L7STS,503"), "", "10.20.64.5: L7STS 503; *", 1),
        (STAT.replace("web,web1,UP,* L7OK,200", "web,web1,UP 1/2,INI,"), "", "10.20.64.5: not checked yet; *", 1),
        (
            STAT.replace("web,web1,UP,* L7OK,200", "web,web1,UP 1/2,L7OK,200"),
            "",
            "10.20.64.5: checks have not passed often enough yet; *",
            1,
        ),
        (STAT.replace("web-writes,web1,UP", "web-writes,web1,MAINT"), "", "10.20.64.5: not checked yet; *", 0),
        (STAT.replace("web,web2,", "web,standby2,").replace("DOWN,L4CON,,", "UP,L7OK,200,"), "10.20.64.5 10.20.80.4", "", 2),
    ],
    ids=[
        "one is away",
        "one refuses",
        "down for writes",
        "about to go down",
        "just named",
        "named where another was",
        "half named",
        "standby",
    ],
)
def test_a_web_host_is_up_once_both_backends_have_checked_it_at_its_address(stat: str, up: str, down: str, serving: int) -> None:
    found = servers.summarize(stat)
    told = found.facts()
    assert told == {"servers_up": up, "servers_down": down.replace("*", "10.20.80.4: L4CON Connection refused")}
    assert found.serving == serving


def test_addresses_are_sorted_as_numbers() -> None:
    stat = STAT.replace("10.20.64.5", "10.20.64.10").replace("10.20.80.4", "10.20.64.9").replace("DOWN,L4CON,,", "UP,L7OK,200,")
    assert servers.summarize(stat).up == ("10.20.64.9", "10.20.64.10")


@pytest.mark.parametrize(
    ("code", "change"),
    [(400, "the hosts that it allows must hold shop.example"), (301, "without a redirect"), (404, "web.checkPath must name"), (503, "")],
)
def test_what_an_app_is_to_change_is_told_by_haproxys_last_check(code: int, change: str) -> None:
    lines = servers.summarize(REFUSED.replace("400", str(code))).problems("shop.example")
    assert lines[0] == f"10.20.80.4: L7STS {code}"
    assert len(lines) == (2 if change else 1)
    assert change in lines[-1]
