"""What tests ask a run of the program: its hosts, what they are told, and what it puts into the bucket."""

import json
from typing import Any

import yaml

from tests.unit.monitor import RecordedProgram, RegisteredResource

INSTANCE = "ec2/instance:Instance"
OBJECT = "s3/bucketObjectv2:BucketObjectv2"


def short(token: str) -> str:
    return token.rpartition(":")[2]


def hosts(program: RecordedProgram) -> dict[str, RegisteredResource]:
    return {item.inputs["tags"]["host"]: item for item in program.by_type(INSTANCE)}


def host_file(item: RegisteredResource) -> dict[str, Any]:
    files = yaml.safe_load(item.inputs["userData"])["write_files"]
    return json.loads(next(entry["content"] for entry in files if entry["path"] == "/etc/webstack/host.json"))


def published_keys(result: RecordedProgram) -> set[str]:
    """The keys of the bundles that the program put into the bucket."""
    return {line.partition(": put into the bucket")[0] for line in result.log if ": put into the bucket" in line}


def configuration_of(program: RecordedProgram, host: str) -> dict[str, Any]:
    return yaml.safe_load(program.by_name(f"dev-{host}-configuration").inputs["content"])
