"""What `webstack rotate` makes of hosts' records: one that cannot be read is said, and stops only what concerns its host."""

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ops.rotation.clients import AwsClients
from ops.rotation.fleet import Fleet, FleetHost, StagingLabels
from ops.rotation.steps import Rotation
from ops.rotation.waiting import not_yet_serving
from stack.secret_specs import SESSION_KEY
from tests.unit.stack.invalid_records import INVALID_RECORDS

LAUNCHED = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROLES = {"lb-1": "load_balancer", "web-1": "web", "web-2": "web", "db-1": "database", "db-2": "database"}


def record(**facts: str) -> bytes:
    return json.dumps({"state": "ready", "reason": "serves", "time": "2026-01-01T12:00:05Z", "facts": facts}).encode()


def fleet(**records: bytes) -> Fleet:
    """All hosts of a stack; those without a record of their own have a good one."""
    good = {
        "lb-1": record(tls_secret="site", certificate="00"),
        "web-1": record(secrets=f"{SESSION_KEY}=k1 app-writer=w1"),
        "web-2": record(secrets=f"{SESSION_KEY}=k1 app-writer=w1"),
        "db-1": record(role="primary", secrets="app-writer=w1 database-replication=r1"),
        "db-2": record(role="replica", secrets="database-replication=r1"),
    }
    said = good | {name.replace("_", "-"): body for name, body in records.items()}
    tags = {"project": "webstack", "environment": "dev", "stack-id": "x7k2"}
    instances = [
        {
            "InstanceId": f"i-{name}",
            "State": {"Name": "running"},
            "LaunchTime": LAUNCHED,
            "Tags": [{"Key": key, "Value": value} for key, value in {**tags, "host": name, "role": role}.items()],
        }
        for name, role in ROLES.items()
    ]
    pages: dict[str, list[dict[str, Any]]] = {
        "describe_instances": [{"Reservations": [{"Instances": instances}]}],
        "list_objects_v2": [{"Contents": [{"Key": f"hosts/AROA:i-{name}.json"} for name in said]}],
    }

    def get_paginator(name: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: pages[name])  # pyright: ignore[reportUnknownLambdaType]

    def get_object(**given: str) -> dict[str, Any]:
        assert given["Bucket"] == "dev-artifacts-1"
        return {"Body": io.BytesIO(said[given["Key"].removeprefix("hosts/AROA:i-").removesuffix(".json")])}

    s3: Any = SimpleNamespace(
        get_paginator=get_paginator, get_object=get_object, list_buckets=lambda: {"Buckets": [{"Name": "dev-artifacts-1"}]}
    )
    ec2: Any = SimpleNamespace(get_paginator=get_paginator)
    nothing: Any = None
    return Fleet(AwsClients(ec2=ec2, s3=s3, secrets=nothing), "dev")


def awaited(hosts: list[FleetHost], purpose: str, found: StagingLabels) -> list[str]:
    """Whom the next step of a rotation that was begun waits for."""

    class Told:
        def staging_labels(self, asked: str) -> StagingLabels:
            assert asked == purpose
            return found

        def promote(self, asked: str, labels: StagingLabels) -> None:
            assert (asked, labels) == (purpose, found)

    told: Any = Told()
    return [str(one) for one in Rotation(told, purpose, revoke=False, on_progress=lambda _: None).step(hosts)]


@pytest.mark.parametrize(("body", "why"), INVALID_RECORDS.values(), ids=INVALID_RECORDS)
def test_a_record_that_cannot_be_read_is_said_of_its_host_alone(body: bytes, why: str) -> None:
    hosts = {host.name: host for host in fleet(web_1=body).hosts()}
    assert {name: host.record_error for name, host in hosts.items() if host.record_error} == {"web-1": f"its record cannot be read: {why}"}
    assert (hosts["web-1"].ready, hosts["web-1"].facts) == (False, {})
    assert hosts["web-2"].secret_versions == {SESSION_KEY: ["k1"], "app-writer": ["w1"]}


BROKEN, WHY = INVALID_RECORDS["a list"][0], f"its record cannot be read: {INVALID_RECORDS['a list'][1]}"


def test_the_host_is_named_where_the_purpose_concerns_it_and_is_no_matter_elsewhere() -> None:
    session_key = StagingLabels(current="k1", pending="k2")
    account = StagingLabels(current="w1", pending="w2")
    web = fleet(web_1=BROKEN, web_2=record(secrets=f"{SESSION_KEY}=k1,k2")).hosts()
    assert awaited(web, SESSION_KEY, session_key) == [f"web-1: {SESSION_KEY}: does not accept the new key yet ({WHY})"]
    balancer = fleet(
        lb_1=BROKEN, web_1=record(secrets=f"{SESSION_KEY}=k1,k2"), web_2=record(secrets=f"{SESSION_KEY}=k1,k2"),
        db_1=record(role="primary", secrets="app-writer=w2,w1"), db_2=BROKEN,
    ).hosts()  # fmt: skip
    assert awaited(balancer, SESSION_KEY, session_key) == []
    assert awaited(balancer, "app-writer", account) == []
    primary = fleet(db_1=BROKEN).hosts()
    assert awaited(primary, "app-writer", account) == ["databases: no host reports that it is the primary", f"db-1: {WHY}"]


def test_no_certificate_is_called_served_by_a_load_balancer_whose_word_nobody_can_read() -> None:
    hosts = fleet(lb_1=BROKEN).hosts()
    assert [str(one) for one in not_yet_serving(hosts, "site", "00") or []] == [f"lb-1: {WHY}"]
    assert not_yet_serving(fleet(web_1=BROKEN).hosts(), "site", "00") is None


def test_a_word_from_before_the_launch_is_none() -> None:
    old = json.dumps({"state": "ready", "time": "2026-01-01T12:00:00Z", "facts": {"role": "primary"}}).encode()
    found = next(host for host in fleet(db_1=old).hosts() if host.name == "db-1")
    assert (found.ready, found.facts, found.record_error) == (False, {}, "")
