"""One host's record, whatever it holds, is that host's row alone in `webstack lab status`."""

import asyncio
import base64
import hashlib
import io
import json
from datetime import UTC, datetime
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lab.control_server import ControlServer
from lab.hypervisor import cloud_init, host_readiness
from lab.hypervisor.cloud_init import CloudInitStatus
from lab.hypervisor.host_readiness import ReadinessReader, with_cloud_init
from lab.names import LabNames
from tests.unit.stack.invalid_records import INVALID_RECORDS

USER_DATA = b"#cloud-config\n"
LAUNCHED = datetime(2026, 1, 1, 12, tzinfo=UTC)
GOOD = json.dumps(
    {"state": "ready", "reason": "serves", "user_data_sha256": hashlib.sha256(USER_DATA).hexdigest(), "time": "2026-01-01T12:00:05Z"}
).encode()


class Aws:
    """S3 with one bucket of records, and EC2. A record may be an error that S3 answers with; EC2 knows no `forgotten` one."""

    def __init__(self, records: dict[str, bytes | Exception]) -> None:
        self.records = records
        self.forgotten = set[str]()
        self.taken: list[int] = []

    def client(self, _service: str, _region: str) -> "Aws":
        return self

    def list_buckets(self) -> dict[str, Any]:
        return {"Buckets": [{"Name": "gone"}, {"Name": "artifacts"}]}

    def list_objects_v2(self, **given: str) -> dict[str, Any]:
        """Two keys a page."""
        assert given["Prefix"] == "hosts/"
        if given["Bucket"] == "gone":
            raise failed("NoSuchBucket")
        begin = int(given.get("ContinuationToken") or 0)
        keys = [f"hosts/AROA:{instance}.json" for instance in self.records]
        return {
            "Contents": [{"Key": key} for key in keys[begin : begin + 2]],
            "IsTruncated": begin + 2 < len(keys),
            "NextContinuationToken": str(begin + 2),
        }

    def get_paginator(self, _: str) -> Any:
        def paginate(**given: str) -> Any:
            token = ""
            while True:
                page = self.list_objects_v2(**given, ContinuationToken=token)
                yield page
                if not page["IsTruncated"]:
                    return
                token = page["NextContinuationToken"]

        return SimpleNamespace(paginate=paginate)

    def get_object(self, **given: str) -> dict[str, Any]:
        assert given["Bucket"] == "artifacts"
        body = self.records[given["Key"].rpartition(":")[2].removesuffix(".json")]
        if isinstance(body, Exception):
            raise body
        aws = self

        class Body(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                found = super().read(size)
                aws.taken.append(len(found))
                return found

        return {"Body": Body(body), "LastModified": LAUNCHED, "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(LAUNCHED)}}}

    def describe_instance_attribute(self, **given: str) -> dict[str, Any]:
        assert given["Attribute"] == "userData"
        if given["InstanceId"] in self.forgotten:
            raise failed("InvalidInstanceID.NotFound")
        return {"UserData": {"Value": base64.b64encode(USER_DATA).decode()}}


def failed(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "\x1b[31mno"}}, "Get")


def words_of(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[bool, str]]:
    monkeypatch.setattr(host_readiness, "internal_clients", lambda _: aws)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    machines: Any = {
        instance: SimpleNamespace(instance_id=instance, region="eu-central-1", launched=LAUNCHED) for instance in [*aws.records, "i-silent"]
    }
    return {instance: (word.ready, word.reason) for instance, word in ReadinessReader("http://127.0.0.1:9").read(machines).items()}


@pytest.mark.parametrize(("body", "why"), INVALID_RECORDS.values(), ids=INVALID_RECORDS)
def test_a_record_that_cannot_be_read_concerns_its_host_alone(body: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws({"i-1": GOOD, "i-2": body, "i-3": GOOD})
    said = words_of(aws, monkeypatch)
    assert said == {"i-1": (True, "serves"), "i-2": (False, f"its record cannot be read: {why}"), "i-3": (True, "serves")}
    assert max(aws.taken) <= 256 * 1024 + 1, "nobody holds megabytes of a host"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (failed("NoSuchKey"), None),
        (failed("AccessDenied"), (False, r"its readiness record could not be read: An error occurred (AccessDenied) when calling the Get")),
        (EndpointConnectionError(endpoint_url="http://x"), (False, "its readiness record could not be read: Could not connect")),
    ],
)
def test_nor_does_one_that_the_api_does_not_give(error: Exception, word: tuple[bool, str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    said = words_of(Aws({"i-1": GOOD, "i-2": error, "i-3": GOOD}), monkeypatch)
    assert said["i-1"] == said["i-3"] == (True, "serves")
    found = said.get("i-2")
    assert (found is None) == (word is None)
    if found and word:
        assert found[1].startswith(word[1])
        assert found[1].isprintable()


def test_nor_does_an_instance_that_ec2_has_just_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = Aws({"i-1": GOOD, "i-2": GOOD, "i-3": GOOD})
    aws.forgotten.add("i-2")
    said = words_of(aws, monkeypatch)
    assert said["i-1"] == said["i-3"] == (True, "serves")
    assert said["i-2"][1].startswith("its readiness record could not be read: ")


def test_cloud_inits_words_are_the_guests_too() -> None:
    assert cloud_init.parse("[" * 200_000) == CloudInitStatus(finished=False)
    word = with_cloud_init(None, user_data=USER_DATA, cloud_init=CloudInitStatus(finished=True, errors=("\x1b[2J::error::x",)))
    assert word.reason == r"no report yet; cloud-init: \x1b[2J: :error: :x"


def test_hosts_whose_words_nobody_could_ask_for_are_not_called_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> object:
        raise EndpointConnectionError(endpoint_url="http://x")

    desired = SimpleNamespace(
        name="web-1", role="web", zone="a", address=None, public_address=None, instance_id="i-1", problem="", group_ids=()
    )
    keeper = SimpleNamespace(desired=desired, running=True, phase="running", problem="", instance_id="i-1")
    policy: Any = SimpleNamespace(problems=[], problems_of=lambda _: [])  # pyright: ignore[reportUnknownLambdaType]
    hypervisor: Any = SimpleNamespace(
        problem="",
        faults=SimpleNamespace(problem="", as_dicts=list),
        reconcilers={"i-1": keeper},
        firewall=SimpleNamespace(policy=policy),
        state=SimpleNamespace(machines={}),
    )
    monkeypatch.setattr(host_readiness, "internal_clients", lambda _: Aws({}))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    monkeypatch.setattr(ReadinessReader, "read", away)
    server: Any = ControlServer(LabNames.of("unit"), hypervisor, lambda: None)
    answer = json.loads(asyncio.run(server._status(None)).body)
    assert "cannot be read" in answer["api_error"]
    assert answer["hosts"][0]["reason"].startswith("its readiness record could not be read: Could not connect")
