"""No secret's value is anywhere but in Secrets Manager and on the hosts' tmpfs. The search is shown to find a planted value."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.harness import LabUnderTest


@pytest.fixture(scope="module")
def values(lab: LabUnderTest) -> dict[str, str]:
    """Every secret's value, by its name."""
    secrets = lab.secrets()
    names = [
        secret["Name"] for page in secrets.get_paginator("list_secrets").paginate() for secret in page["SecretList"] if "Name" in secret
    ]
    found = {name: secrets.get_secret_value(SecretId=name)["SecretString"] for name in names}
    assert len(found) >= 5
    assert min(len(value) for value in found.values()) >= 20
    return found


def test_no_secret_is_in_anything_that_others_may_read(lab: LabUnderTest, values: dict[str, str]) -> None:
    searched = 0
    for place, text in everything_readable(lab):
        searched += 1
        for name, value in values.items():
            assert value not in text, f"{name} stands in {place}"
    assert searched >= 20


def test_no_secret_is_in_a_file_of_a_host_that_survives_a_reboot(lab: LabUnderTest, values: dict[str, str]) -> None:
    assert list(files_with(values, [machine / "upper" for machine in lab.names.machines_dir.iterdir()])) == []


def test_no_secret_is_in_the_engine_state_in_clear_nor_in_the_lab_s_logs(lab: LabUnderTest, values: dict[str, str]) -> None:
    state = lab.names.state_dir
    assert list(files_with(values, [state / "engine", *state.glob("*.log"), *state.glob("*.jsonl")])) == []


def test_the_search_finds_a_planted_value(values: dict[str, str]) -> None:
    value = next(iter(values.values()))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "below").mkdir()
        (Path(folder) / "below" / "planted").write_bytes(b"\0before" + value.encode() + b"after\0")
        assert [path.name for path in files_with(values, [Path(folder)])] == ["planted"]


def everything_readable(lab: LabUnderTest) -> Iterator[tuple[str, str]]:
    """User data, tags, objects of the bucket and the stack's outputs, each with its name."""
    ec2, s3 = lab.ec2(), lab.s3()
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation.get("Instances", []):
            identifier = instance.get("InstanceId", "")
            attribute = ec2.describe_instance_attribute(InstanceId=identifier, Attribute="userData")
            yield f"user data of {identifier}", _decoded(attribute.get("UserData", {}).get("Value", ""))
    yield "tags", json.dumps(ec2.describe_tags()["Tags"])
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket.get("Name", "")
        for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
            key = entry.get("Key", "")
            body = s3.get_object(Bucket=name, Key=key)["Body"].read()
            yield f"s3://{name}/{key}", _unpacked(body)
    yield "status", lab.command("status", "--json").stdout


def files_with(values: dict[str, str], places: list[Path]) -> Iterator[Path]:
    """Files below the places that hold one of the values, read as bytes."""
    pattern = re.compile(b"|".join(re.escape(value.encode()) for value in values.values()))
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK) and pattern.search(path.read_bytes()):
                yield path


def _decoded(text: str) -> str:
    return subprocess.run(["base64", "-d"], input=text, capture_output=True, text=True, check=True).stdout


def _unpacked(body: bytes) -> str:
    if body[:2] == b"\x1f\x8b":
        body = subprocess.run(["gzip", "-dc"], input=body, capture_output=True, check=True).stdout
    return body.decode(errors="replace")
