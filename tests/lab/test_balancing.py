"""Every balancing choice and both backend modes do what their names say, each put in place by an `up`."""

from collections.abc import Iterator

import pytest

from tests.lab.harness import LabUnderTest, wait_until

ADDRESSES = [f"/api/products/no-such-{number}" for number in range(40)]
"""Of which there is none: so there can be many, and the app answers each."""


@pytest.fixture(scope="module")
def restored(lab: LabUnderTest) -> Iterator[LabUnderTest]:
    """Each choice is put in place of the one before it; what the stack's file says comes back at the end."""
    yield lab
    lab.up()


def seen_by(lab: LabUnderTest, paths: list[str], *, status: int = 200) -> list[str]:
    """The web host of each answer; every answer must have the status."""
    with lab.http_client() as browser:
        answers = [browser.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {status}
    return [answer.headers["x-web-host"] for answer in answers]


def test_the_choices_that_spread(restored: LabUnderTest) -> None:
    for balance in ("leastconn", "random"):
        restored.up(f"loadBalancer.balance={balance}")
        assert f"balance {balance}" in restored.run_on("lb-1", "cat", "/etc/haproxy/haproxy.cfg")
        assert set(seen_by(restored, ["/api/products"] * 40)) == {"web-1", "web-2"}


def test_source_keeps_a_client_on_one_host_wherever_he_goes(restored: LabUnderTest) -> None:
    restored.up("loadBalancer.balance=source")
    assert len(set(seen_by(restored, ADDRESSES, status=404))) == 1


def test_uri_keeps_each_address_on_one_host_and_spreads_the_addresses(restored: LabUnderTest) -> None:
    restored.up("loadBalancer.balance=uri")
    first, second = (seen_by(restored, ADDRESSES, status=404) for _ in range(2))
    assert first == second
    assert set(first) == {"web-1", "web-2"}


def test_active_passive_uses_the_standby_only_in_need(restored: LabUnderTest) -> None:
    restored.up("loadBalancer.backendMode=active-passive")
    active = set(seen_by(restored, ["/api/products"] * 20))
    assert len(active) == 1
    (name,) = active
    other = "web-2" if name == "web-1" else "web-1"
    restored.command("kill", name)
    try:
        assert seen_by(restored, ["/api/products"] * 4) == [other] * 4, "the first to ask waits, and nobody is turned away"
    finally:
        restored.command("start", name)
    wait_until(lambda: set(seen_by(restored, ["/api/products"] * 4)) == {name}, seconds=60, what=f"{name} serves again")
