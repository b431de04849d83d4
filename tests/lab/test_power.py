"""Every host comes back after a stop and a start, with its data."""

import uuid

import pytest

from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.shop import any_product, order, sign_up


@pytest.mark.parametrize("host", ["lb-1", "web-1", "db-2", "db-1"])
def test_a_host_comes_back_after_a_stop_and_a_start(lab: LabUnderTest, host: str) -> None:
    identifier = uuid.uuid4().hex
    with lab.browser() as client:
        token = sign_up(client)
        assert order(client, any_product(client), identifier).status_code == 201
    lab.command("stop", host)
    assert lab.hosts()[host]["state"] == "stopped"
    lab.command("start", host)
    wait_until(lambda: lab.hosts()[host]["ready"], seconds=120, what=f"{host} is ready again")

    def the_order_is_there() -> bool:
        with lab.browser() as client:
            answer = client.get("/api/orders", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text[:200]
            return [made["id"] for made in answer.json()["orders"]] == [identifier]

    wait_until(the_order_is_there, seconds=30, what="the shop serves the order")


def test_both_databases_come_back_from_a_common_stop(lab: LabUnderTest) -> None:
    identifier = uuid.uuid4().hex
    with lab.browser() as client:
        sign_up(client)
        assert order(client, any_product(client), identifier).status_code == 201
    for host in ("db-1", "db-2"):
        lab.command("kill", host)
    for host in ("db-2", "db-1"):
        lab.command("start", host)
    for host in ("db-1", "db-2"):
        wait_until(lambda host=host: lab.hosts()[host]["ready"], seconds=120, what=f"{host} is ready again")
        assert lab.query(host, f"SELECT COUNT(*) FROM app.orders WHERE reference = '{identifier}'") == [["1"]]
