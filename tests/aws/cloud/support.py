"""What the tests of the cloud share: clients, a loop for the asynchronous services, a network to launch instances in."""

import asyncio
import functools
import json
import threading
import urllib.request
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.admin_keys import AccessKey
from lab.cloud.internal_api import event_path

T = TypeVar("T")
REGION = "eu-west-1"
ADMIN_KEY = AccessKey(access_key_id="AKIATEST", secret="secret-of-the-test")
"""What `client` signs with: the administrator's keys where a test has one."""


def report_event(api_server: str, instance_id: str, event: str, volume_id: str | None = None) -> str:
    """Tells the API what happened to a machine; the state that it shows then."""
    request = urllib.request.Request(f"{api_server}{event_path(instance_id, event, volume_id)}", method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["state"]


def reset_moto(api_server: str) -> None:
    """Makes the API forget all it holds."""
    with urllib.request.urlopen(urllib.request.Request(f"{api_server}/moto-api/reset", method="POST")):
        pass


@functools.cache
def client(service: str, url: str, *, verify: Path | None = None, proxy: str = "") -> Any:
    """A boto3 client that does not repeat a failed call. Kept: to make one takes longer than most tests."""
    any_client = cast("Any", boto3.client)  # its stubs want the service's name as a literal
    return any_client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ADMIN_KEY.access_key_id,
        aws_secret_access_key=ADMIN_KEY.secret,
        verify=str(verify) if verify else None,
        config=Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies=cast("Any", {"http": proxy} if proxy else None)
        ),
    )


def proxy_client(service: str, url: str) -> Any:
    """A client that sends its calls to the endpoint as to a proxy, under whatever name AWS's SDK makes of the endpoint's."""
    return client(service, url, proxy=url)


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The code of AWS's refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response.get("Error", {}).get("Code", "")


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._cleanups: list[Callable[[], Awaitable[object]]] = []
        self._thread.start()

    def run(self, awaitable: Awaitable[T]) -> T:
        """What the awaitable gives; it runs in the loop."""

        async def await_it() -> T:
            return await awaitable

        future: Future[T] = asyncio.run_coroutine_threadsafe(await_it(), self._loop)
        return future.result(30)

    def add_cleanup(self, ending: Callable[[], Awaitable[object]]) -> None:
        """To be awaited before the loop ends."""
        self._cleanups.append(ending)

    def close(self) -> None:
        """Runs the endings and ends the loop."""
        for ending in reversed(self._cleanups):
            self.run(ending())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Network:
    """A VPC with one public subnet, an internet gateway and one security group."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self.ec2 = client("ec2", api_url)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.20.1.0/24", AvailabilityZone=f"{REGION}a")
        self.subnet = subnet["Subnet"]["SubnetId"]
        self.ec2.modify_subnet_attribute(SubnetId=self.subnet, MapPublicIpOnLaunch={"Value": True})
        self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        self.group = self.ec2.create_security_group(GroupName="web", Description="web", VpcId=self.vpc)["GroupId"]

    def launch(self, address: str | None = None, *, started: bool = True, **options: Any) -> str:
        """The id of a new instance, for which a machine is switched on if it is `started`."""
        nic: dict[str, Any] = {"DeviceIndex": 0, "SubnetId": self.subnet, "Groups": [self.group]}
        if address:
            nic["PrivateIpAddress"] = address
        launch: dict[str, Any] = {"ImageId": "ami-0deb1a0000000013f", "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
        instance_id = self.ec2.run_instances(**launch, NetworkInterfaces=[nic], **options)["Instances"][0]["InstanceId"]
        if started:
            report_event(self._api_url, instance_id, "started")
        return instance_id

    def instance(self, instance_id: str) -> dict[str, Any]:
        """What DescribeInstances shows of it."""
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def state(self, instance_id: str) -> str:
        """The name of its state."""
        return self.instance(instance_id)["State"]["Name"]
