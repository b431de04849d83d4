"""The moto server on its Unix socket: for root alone, and for every kind of client that the lab's own parts have."""

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lab.aws_clients import internal_clients
from lab.cloud import quota_client
from lab.cloud.api_gateway import ApiGateway, client_session, loopback_listener
from lab.hypervisor.state_reader import Ec2StateReader
from lab.moto_address import base_url, from_socket, socket_path
from lab.names import LabNames
from tests.aws.cloud.support import REGION, LoopThread, client


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    path = tmp_path_factory.mktemp("bare") / "api.sock"
    process = subprocess.Popen([sys.executable, "-m", "lab.cloud.moto_server", "--socket", str(path)], umask=0o022)
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)
    yield from_socket(path)
    process.terminate()
    process.wait(10)


def test_it_listens_as_soon_as_it_is_there_and_only_its_owner_may_open_it(address: str) -> None:
    path = socket_path(address)
    assert path is not None
    found = path.stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == os.geteuid()
    assert [entry.name for entry in path.parent.iterdir()] == ["api.sock"]
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))


def test_a_lab_has_no_port_but_its_doors() -> None:
    names = LabNames.of("unit")
    assert names.moto_address == f"unix:/var/lib/webstack/labs/unit/{names.moto_socket.name}"
    assert not [name for name in dir(names) if "port" in name and name != "api_port"]


def test_botocores_clients_reach_it_by_every_protocol(address: str) -> None:
    caller = internal_clients(address)
    vpc = caller.client("ec2", REGION).create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    assert vpc in [one["VpcId"] for one in Ec2StateReader(address).client(REGION).describe_vpcs()["Vpcs"] if "VpcId" in one]
    s3 = caller.client("s3", "us-east-1")
    s3.create_bucket(Bucket="hosts")
    content = os.urandom(3_000_000)
    s3.put_object(Bucket="hosts", Key="a b/ü", Body=content)
    answer = s3.get_object(Bucket="hosts", Key="a b/ü")
    assert answer["Body"].read() == content
    assert answer["LastModified"]
    s3.put_object(Bucket="hosts", Key="lines", Body=b"one\ntwo")
    assert list(s3.get_object(Bucket="hosts", Key="lines")["Body"].iter_lines()) == [b"one", b"two"]
    assert s3.head_object(Bucket="hosts", Key="lines")["ContentLength"] == 7
    secrets = caller.client("secretsmanager", REGION)
    secrets.create_secret(Name="app-writer", SecretString="w")
    assert secrets.get_secret_value(SecretId="app-writer")["SecretString"] == "w"
    assert caller.client("route53", "us-east-1").list_hosted_zones()["HostedZones"] == []


def test_errors_are_the_apis_own(address: str) -> None:
    caller = internal_clients(address)
    with pytest.raises(ClientError, match="InvalidVpcID"):
        caller.client("ec2", REGION).describe_vpcs(VpcIds=["vpc-0123456789abcdef0"])
    with pytest.raises(ClientError, match="NoSuchBucket"):
        caller.client("s3", "us-east-1").list_objects_v2(Bucket="no-such-bucket")


def test_a_server_that_is_not_there_is_an_error_of_botocores(tmp_path: Path) -> None:
    with pytest.raises(BotoCoreError, match=r"Could not connect.*nobody\.sock"):
        Ec2StateReader(from_socket(tmp_path / "nobody.sock")).read([REGION])


def test_a_server_that_ends_before_it_answers_is_an_error_of_botocores(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"

    def end() -> None:
        taken, _ = listening.accept()
        taken.close()

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        ending = threading.Thread(target=end)
        ending.start()
        with pytest.raises(BotoCoreError):
            Ec2StateReader(from_socket(path)).client(REGION).describe_vpcs()
        ending.join()


def test_quotas_are_asked_and_changed_by_the_socket(address: str) -> None:
    assert quota_client.quotas(address, {"vcpus": 77})["vcpus"] == 77
    assert quota_client.quotas(address)["vcpus"] == 77
    with pytest.raises(ValueError, match="nonsense"):
        quota_client.quotas(address, {"nonsense": 1})


def test_the_door_passes_calls_on_to_it(address: str, loop: LoopThread) -> None:
    front, listening = ApiGateway(address), loopback_listener(0)
    loop.run(front.start())
    loop.add_cleanup(front.stop)
    loop.run(front.add_listener(listening))
    assert client("ec2", f"http://127.0.0.1:{listening.getsockname()[1]}").describe_key_pairs()["KeyPairs"] == []


def test_the_labs_asynchronous_parts_reach_it(address: str, loop: LoopThread) -> None:
    async def regions() -> list[str]:
        async with client_session(address) as session, session.get("/_lab/regions") as answer:
            return list(await answer.json())

    assert loop.run(regions()) == ["regions"]


def test_an_address_is_a_socket_or_a_url() -> None:
    assert (socket_path("unix:/a/b.sock"), base_url("unix:/a/b.sock")) == (Path("/a/b.sock"), "http://127.0.0.1")
    assert (socket_path("http://127.0.0.1:5"), base_url("http://127.0.0.1:5/")) == (None, "http://127.0.0.1:5")
