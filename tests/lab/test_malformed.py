"""What the API holds may make no sense: the one host concerned says so in `status`, and the rest goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Interface

import pytest

from lab.hypervisor import router
from lab.names import STATE_ROOT
from tests.lab.harness import LabUnderTest, wait_until

NO_CONFIG = "Good morning. This is no cloud-config.\n"
BROKEN_YAML = "#cloud-config\nruncmd: [ : }\n"
FAILING = "#cloud-config\nruncmd:\n  - [sh, -c, exit 1]\n"
LARGE_GIB = 16384
OUR_ADDRESS = "10.254.77.1/24"
"""An address that this machine is given for a test, in a network that a VPC may have."""


class Strangers:
    """Hosts beside the stack, in lb-1's subnet and in the VPC's default security group, which permits nothing."""

    def __init__(self, lab: LabUnderTest) -> None:
        self.ec2 = lab.ec2()
        lb_1 = lab.instance("lb-1")
        self.zone = lb_1.get("Placement", {}).get("AvailabilityZone", "")
        self._image_id, self._subnet_id = lb_1.get("ImageId", ""), lb_1.get("SubnetId", "")
        self.ids: list[str] = []

    def launch(self, name: str, user_data: str = "", subnet_id: str = "") -> str:
        """Launches a host with that name, elsewhere if a subnet is given; its instance id."""
        launched = self.ec2.run_instances(
            ImageId=self._image_id,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet_id or self._subnet_id,
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
            UserData=user_data,
        )
        self.ids.append(launched["Instances"][0].get("InstanceId", ""))
        return self.ids[-1]

    def remove(self) -> None:
        """Terminates them all and waits for their end."""
        if self.ids:
            self.ec2.terminate_instances(InstanceIds=self.ids)
            self.ec2.get_waiter("instance_terminated").wait(InstanceIds=self.ids, WaiterConfig={"Delay": 1, "MaxAttempts": 150})
            self.ids.clear()


@pytest.fixture
def strangers(lab: LabUnderTest) -> Iterator[Strangers]:
    them = Strangers(lab)
    try:
        yield them
    finally:
        them.remove()


@pytest.fixture
def our_network() -> Iterator[None]:
    """A network of this machine's own, on a pair of links that is taken away again."""
    links = "ip link add webstack-t0 type veth peer name webstack-t1"
    try:
        for command in (links, f"ip address add {OUR_ADDRESS} dev webstack-t0", "ip link set webstack-t0 up"):
            subprocess.run(command.split(), check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "delete", "webstack-t0"], check=True)


def test_a_host_that_nothing_tells_what_to_be_says_so_in_status(lab: LabUnderTest, strangers: Strangers) -> None:
    expected = {
        "no-data": ("", "it has no user data"),
        "prose": (NO_CONFIG, "cloud-init: Unhandled non-multipart"),
        "broken": (BROKEN_YAML, "cloud-init: Failed loading yaml blob. Invalid format at line 2 column 11"),
        "failing": (FAILING, "Runparts: 1 failures (runcmd)"),
        "silent": ("#cloud-config\n{}\n", "applied without an error"),
    }
    for name, (user_data, _) in expected.items():
        strangers.launch(name, user_data)

    def all_say_so() -> bool:
        hosts = lab.hosts()
        for name, (_, reason) in expected.items():
            assert hosts[name]["state"] == "running"
            assert not hosts[name]["ready"]
            assert reason in str(hosts[name]["reason"]), f"{name}: {hosts[name]['reason']}"
        return True

    wait_until(all_say_so, seconds=180, what="each host's reason is in status", every=1)
    with lab.http_client() as client:
        assert client.get("/").status_code == 200


def test_a_volume_larger_than_the_disk_is_reported_by_its_host_which_goes_on_without(lab: LabUnderTest, strangers: Strangers) -> None:
    instance_id = strangers.launch("greedy")
    wait_until(lambda: lab.hosts()["greedy"]["state"] == "running", seconds=120, what="the host runs")
    volume_id = strangers.ec2.create_volume(AvailabilityZone=strangers.zone, Size=LARGE_GIB, VolumeType="gp3")["VolumeId"]
    try:
        strangers.ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")

        def reported() -> bool:
            return f"greedy: volume {volume_id} has {LARGE_GIB}.0 GiB, and this machine's disk" in lab.command("status").stderr

        wait_until(reported, seconds=60, what="status names the volume and why it is not there")
        assert lab.run_on("greedy", "echo", "alive") == "alive\n"
    finally:
        strangers.ec2.detach_volume(VolumeId=volume_id)
        wait_until(lambda: "greedy" not in lab.command("status").stderr, seconds=60, what="without the volume nothing is wrong")
        strangers.ec2.delete_volume(VolumeId=volume_id)


def test_a_host_in_a_network_of_this_machines_own_is_not_booted_and_says_why(
    lab: LabUnderTest, strangers: Strangers, our_network: None
) -> None:
    ours = IPv4Interface(OUR_ADDRESS).network
    assert ours in router.local_networks(lab.names)
    cidr = str(ours)
    ec2 = strangers.ec2
    vpc_id = ec2.create_vpc(CidrBlock=cidr)["Vpc"].get("VpcId", "")
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr, AvailabilityZone=strangers.zone)["Subnet"].get("SubnetId", "")
    try:
        strangers.launch("clashing", subnet_id=subnet_id)

        def says_so() -> bool:
            host = lab.hosts()["clashing"]
            return host["reason"] == f"its subnet overlaps this machine's own network {ours}: choose another network for the stack"

        wait_until(says_so, seconds=60, what="the host says which network it would hide")
        with lab.http_client() as client:
            assert client.get("/").status_code == 200
    finally:
        strangers.remove()
        ec2.delete_subnet(SubnetId=subnet_id)
        ec2.delete_vpc(VpcId=vpc_id)


def test_without_room_on_the_disk_nothing_is_booted(lab: LabUnderTest) -> None:
    """In a mount namespace of its own, where a small disk holds the labs."""
    result = subprocess.run(
        [
            *("unshare", "--mount", "--propagation=private", "sh", "-c"),
            'mount -t tmpfs -o size=64m tmpfs "$0" && "$@"; status=$?; ls -A "$0"; exit $status',
            str(STATE_ROOT),
            *(sys.executable, "-m", "ops", "lab", "up", "--lab", "cramped"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(lab.clone), "NO_COLOR": "1"},
    )
    assert result.returncode == 1, result.stderr
    assert "lab 'cramped' needs 1.0 GiB of free disk, and the disk that holds " in result.stderr
    assert result.stdout == "", "nothing was begun on that disk"
    assert "Traceback" not in result.stderr
