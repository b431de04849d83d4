"""Every host comes back after a stop and a start, with its data, and a database host also from the loss of its volume."""

import uuid

import pytest

from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.shop import any_product, order, sign_up


@pytest.mark.parametrize("host", ["lb-1", "web-1", "db-2", "db-1"])
def test_a_host_comes_back_after_a_stop_and_a_start(lab: LabUnderTest, host: str) -> None:
    identifier = uuid.uuid4().hex
    with lab.http_client() as client:
        token = sign_up(client)
        assert order(client, any_product(client), identifier).status_code == 201
    lab.command("stop", host)
    assert lab.hosts()[host]["state"] == "stopped"
    lab.command("start", host)
    wait_until(lambda: lab.hosts()[host]["ready"], seconds=120, what=f"{host} is ready again")

    def the_order_is_there() -> bool:
        with lab.http_client() as client:
            answer = client.get("/api/orders", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text[:200]
            return [made["id"] for made in answer.json()["orders"]] == [identifier]

    wait_until(the_order_is_there, seconds=30, what="the shop serves the order")


def test_both_databases_come_back_from_a_common_stop(lab: LabUnderTest) -> None:
    identifier = uuid.uuid4().hex
    with lab.http_client() as client:
        sign_up(client)
        assert order(client, any_product(client), identifier).status_code == 201
    found = f"SELECT COUNT(*) FROM app.orders WHERE reference = '{identifier}'"
    for host in ("db-1", "db-2"):
        lab.command("kill", host)
    for host in ("db-2", "db-1"):
        lab.command("start", host)
    for host in ("db-1", "db-2"):
        wait_until(lambda host=host: lab.hosts()[host]["ready"], seconds=120, what=f"{host} is ready again")
        wait_until(lambda host=host: lab.query(host, found) == [["1"]], seconds=30, what=f"{host} has the order, once")


def test_a_primary_whose_volume_is_lost_comes_back_with_the_other_hosts_data(lab: LabUnderTest) -> None:
    identifier = uuid.uuid4().hex
    with lab.http_client() as client:
        token = sign_up(client)
        assert order(client, any_product(client), identifier).status_code == 201
    lab.command("stop", "db-1")
    ec2 = lab.ec2()
    [lost] = [
        volume.get("VolumeId", "")
        for volume in ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": ["dev-db-1-data"]}])["Volumes"]
    ]
    ec2.detach_volume(VolumeId=lost)
    ec2.delete_volume(VolumeId=lost)
    lab.command("refresh")
    lab.up()
    found = f"SELECT COUNT(*) FROM app.orders WHERE reference = '{identifier}'"
    assert lab.query("db-1", found) == [["1"]], "a blank volume is filled from the other host, and never the other way round"
    assert lab.query("db-2", found) == [["1"]]
    with lab.http_client() as client:
        answer = client.get("/api/orders", headers={"Authorization": f"Bearer {token}"})
        assert [made["id"] for made in answer.json()["orders"]] == [identifier]
