"""A load balancer's configuration, and the Elastic IPs that it asks for."""

from dataclasses import replace
from typing import Any

import pytest
from webstack_host import aws, imds

from tests.unit.hosts.conftest import returning
from tests.unit.userdata.test_host_files import LOAD_BALANCER

CONFIG = replace(LOAD_BALANCER, elastic_ip_allocation_id="eipalloc-1")
PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\ny\n-----END PRIVATE KEY-----"


class Ec2:
    """Elastic IPs, and every call in order."""

    def __init__(self, holder: str | None) -> None:
        self.holder = holder
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def describe_addresses(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(("DescribeAddresses", arguments))
        return {"Addresses": [{"AllocationId": "eipalloc-1", **({"InstanceId": self.holder} if self.holder else {})}]}

    def associate_address(self, **arguments: Any) -> None:
        self.calls.append(("AssociateAddress", arguments))
        self.holder = arguments["InstanceId"]


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Ec2:
    fake = Ec2("i-other")
    monkeypatch.setattr(aws, "ec2", returning(fake))
    monkeypatch.setattr(imds, "instance_id", returning("i-me"))
    return fake
