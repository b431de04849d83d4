"""All services of one lab together, on loopback in the place of the router's namespace."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import dns.message
import dns.query
import pytest

from lab.cloud.api_gateway import loopback_listener
from lab.cloud.services import CloudServices
from lab.names import LabNames
from lab.processes import read_pid_file
from tests.aws.cloud.support import ADMIN_KEY, REGION, LoopThread, Network, client


class Loopback:
    """Stands for `RouterNamespace`: every address is 127.0.0.1, at a port of its own."""

    def __init__(self) -> None:
        self.ports: dict[tuple[str, int, str], int] = {}

    def listen(self, kind: socket.SocketKind, address: str, port: int) -> socket.socket:
        if kind == socket.SOCK_STREAM:
            bound = loopback_listener(0)
        else:
            bound = socket.socket(socket.AF_INET, kind)
            bound.setblocking(False)
            bound.bind(("127.0.0.1", 0))
        self.ports[address, port, kind.name] = bound.getsockname()[1]
        return bound


class Cloud:
    """The services of a lab named `unit`, and what they told of changes."""

    def __init__(self, names: LabNames, loop: LoopThread) -> None:
        self.names = names
        self.loop = loop
        self.router = Loopback()
        self.changes: list[str] = []
        self.services = loop.run(self._make())

    async def _make(self) -> CloudServices:
        return CloudServices(self.names, cast("Any", self.router), self._changed, keys=ADMIN_KEY)

    def _changed(self, *, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
        del region, parameters
        self.changes.append(f"{service}:{action}")

    def resolve(self, name: str) -> list[str]:
        port = self.router.ports["169.254.169.253", 53, "SOCK_DGRAM"]
        answer = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", port=port, timeout=5)
        return sorted(line.split()[-1] for record in answer.answer for line in record.to_text().splitlines())


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabNames:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    monkeypatch.setenv("WEBSTACK_CACHE", str(tmp_path / "cache"))
    lab = LabNames.of("unit")
    lab.state_dir.mkdir(parents=True)
    return lab


def test_the_services_serve_follow_the_zones_and_end_without_a_trace(names: LabNames, loop: LoopThread) -> None:
    cloud = Cloud(names, loop)
    assert loop.run(cloud.services.start()) is False
    server = read_pid_file(names.pid_file("api"))
    assert server is not None
    try:
        network = Network(names.api_endpoint)
        instance = network.launch("10.20.1.10", started=False)
        zone = {"VPC": {"VPCRegion": REGION, "VPCId": network.vpc}, "HostedZoneConfig": {"PrivateZone": True}}
        network.ec2.associate_vpc_cidr_block(VpcId=network.vpc, CidrBlock="127.0.0.0/16")  # the asker is on loopback here
        route53 = client("route53", names.api_endpoint)
        zone_id = route53.create_hosted_zone(Name="dev.internal", CallerReference="1", **zone)["HostedZone"]["Id"]
        for values in (["10.20.1.10"], ["10.20.1.10", "10.20.1.11"]):
            record = {"Name": "web.dev.internal", "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": value} for value in values]}
            change = {"Action": "UPSERT", "ResourceRecordSet": record}
            route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": [change]})
            deadline = time.monotonic() + 10
            while cloud.resolve("web.dev.internal") != values and time.monotonic() < deadline:
                time.sleep(0.02)
            assert cloud.resolve("web.dev.internal") == values
        assert cloud.resolve("s3.eu-west-1.amazonaws.com") == [str(names.s3_address)]
        network.ec2.terminate_instances(InstanceIds=[instance])
        loop.run(cloud.services.report(instance, "terminated"))
        assert network.state(instance) == "terminated"
        loop.run(cloud.services.report("i-0123456789abcdef0", "stopped"))  # of a machine that the API has forgotten: no harm
        assert cloud.changes[-1] == "ec2:TerminateInstances"
    finally:
        loop.run(cloud.services.stop())
    assert not server.alive()
    assert not names.pid_file("api").exists()


def test_a_later_daemon_finds_the_api_with_all_that_it_held(names: LabNames, loop: LoopThread) -> None:
    first = LoopThread()  # a daemon that dies: its loop and sockets go, the API server's process stays
    cloud = Cloud(names, first)
    first.run(cloud.services.start())
    network = Network(names.api_endpoint)
    server = read_pid_file(names.pid_file("api"))
    assert server is not None
    try:
        first.run(cloud.services.detach())
        first.close()
        again = Cloud(names, loop)
        assert loop.run(again.services.start()) is True
        assert read_pid_file(names.pid_file("api")) == server
        assert loop.run(again.services.regions()) == [REGION]
        assert network.ec2.describe_vpcs(VpcIds=[network.vpc])["Vpcs"]
        port = again.router.ports["169.254.169.254", 80, "SOCK_STREAM"]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/latest/meta-data/")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(request)
        loop.run(again.services.stop())
    finally:
        server.stop(grace=2)
    entries = [json.loads(line) for line in (names.state_dir / "calls.jsonl").read_text().splitlines()]
    assert {entry["service"] for entry in entries} == {"ec2"}


def test_a_port_that_another_program_has_is_named(names: LabNames, loop: LoopThread) -> None:
    with loopback_listener(names.api_port), pytest.raises(OSError, match="in use"):
        loop.run(Cloud(names, loop).services.start())
    assert read_pid_file(names.pid_file("api")) is None
