"""A lab of its own with no stack in it: hosts of a bare image, launched by boto3, that a test may stop, kill and terminate as it likes."""

import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lab import control_client
from lab.cloud.images import BAKED_IMAGE
from lab.hypervisor.volumes import guest_device
from lab.lab_handle import LabHandle
from ops.errors import UserError
from ops.hosts import nsenter_command
from tests.lab.harness import REGION, TIMEOUT_FACTOR, LabUnderTest, wait_until, worker_lab_name

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.literals import VolumeAttachmentStateType
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef, IpPermissionTypeDef

NAME = worker_lab_name("power")

SHUTDOWN_TIMEOUT = 15.0
"""Seconds that this lab gives a host to shut down; AWS's and every other lab's patience is longer than a test's. A shutdown takes one, but
it waits for this machine's disk, too."""

NETWORK = "10.77.0.0/16"
ZONES = ("a", "b")
DEVICE_NAMES = [f"/dev/sd{letter}" for letter in "fghijklmnop"]
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html"""

SLOW_TO_STOP = """\
[Service]
ExecStart=/bin/sleep infinity
ExecStop=/bin/sh -c 'sleep {seconds}; echo stopped in order > {marker}'
"""

HANGS_AT_STOP = """\
[Service]
ExecStart=/bin/sleep infinity
ExecStop=/bin/sleep infinity
TimeoutStopSec=infinity
"""


@dataclass(frozen=True, kw_only=True)
class Host:
    """One bare host."""

    lab: LabUnderTest
    ec2: "EC2Client"
    instance_id: str
    address: IPv4Address

    @property
    def namespace(self) -> str:
        return self.lab.names.machine_netns(self.instance_id)

    @property
    def root_disk(self) -> Path:
        return self.lab.names.machine_dir(self.instance_id)

    def describe(self) -> "InstanceTypeDef":
        return self.ec2.describe_instances(InstanceIds=[self.instance_id])["Reservations"][0].get("Instances", [])[0]

    def state(self) -> str:
        return self.describe().get("State", {}).get("Name", "")

    def shell_command(self, script: str) -> list[str]:
        """The command line that runs a shell script on the host as root. Raises AssertionError where nothing can be run there."""
        try:
            return nsenter_command(LabHandle.of(self.lab.name), self.instance_id, ["sh", "-euc", script])
        except UserError as error:
            raise AssertionError(str(error)) from error

    def run(self, script: str) -> str:
        """Runs a shell script on the host as root; what it printed. Raises AssertionError where it fails."""
        done = subprocess.run(
            self.shell_command(script),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60 * TIMEOUT_FACTOR,
        )
        assert done.returncode == 0, f"{script}: status {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def has(self, path: str) -> bool:
        return self.run(f"test -e {path} && echo yes || echo no") == "yes"

    def boot_id(self) -> str:
        return self.run("cat /proc/sys/kernel/random/boot_id")

    def add_unit(self, name: str, text: str) -> None:
        """Starts a service, once: the next boot does not."""
        self.run(f"cat > /etc/systemd/system/{name}.service <<'END'\n{text}END\nsystemctl daemon-reload; systemctl start {name}")

    def is_up(self) -> bool:
        """Whether its init has started it wholly, as the lab knows."""
        rows: list[dict[str, str]] = control_client.status(self.lab.names)["hosts"]
        return any(row["instance_id"] == self.instance_id and row["state"] == "running" for row in rows)

    def wait_for_state(self, state: str, *, seconds: float = 60) -> None:
        """Waits until the API shows the state."""
        wait_until(lambda: self.state() == state, seconds=seconds, what=f"{self.instance_id} is {state}", every=0.1)

    def wait_until_up(self) -> None:
        """Waits until it runs, and its guest too."""
        self.wait_for_state("running")
        wait_until(lambda: self.is_up(), seconds=90, what=f"{self.instance_id} has booted", every=0.2)

    @contextmanager
    def recorded_states(self) -> Generator[list[str]]:
        """The states that the API shows meanwhile, each once in a row, the one at the beginning first."""
        seen = [self.state()]
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                if (state := self.state()) != seen[-1]:
                    seen.append(state)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield seen
        finally:
            over.set()
            watcher.join()
            if (state := self.state()) != seen[-1]:
                seen.append(state)


@dataclass(frozen=True, kw_only=True)
class BareLab:
    """The lab and the network in it: one subnet a zone, everything allowed between its hosts."""

    lab: LabUnderTest
    ec2: "EC2Client"
    group: str
    subnets: dict[str, str] = field(default_factory=dict[str, str])
    """By zone letter."""

    def launch(self, zone: str = "a", **options: Any) -> Host:
        """A new host, booting."""
        launched = self.ec2.run_instances(
            ImageId=BAKED_IMAGE,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnets[zone],
            SecurityGroupIds=[self.group],
            **options,
        )["Instances"][0]
        instance_id, address = launched.get("InstanceId", ""), IPv4Address(launched.get("PrivateIpAddress", ""))
        return Host(lab=self.lab, ec2=self.ec2, instance_id=instance_id, address=address)

    def new_volume(self, zone: str = "a") -> str:
        return self.ec2.create_volume(AvailabilityZone=f"{REGION}{zone}", Size=1, VolumeType="gp3").get("VolumeId", "")

    def attach(self, volume: str, host: Host) -> str:
        """Attaches the volume under a free name and waits for its device, whose path on the host it returns."""
        taken = [mapping.get("DeviceName") for mapping in host.describe().get("BlockDeviceMappings", [])]
        device = next(name for name in DEVICE_NAMES if name not in taken)
        self.ec2.attach_volume(VolumeId=volume, InstanceId=host.instance_id, Device=device)
        path = guest_device(volume)
        wait_until(lambda: host.has(path), seconds=30, what=f"{volume} is on {host.instance_id}", every=0.1)
        return path

    def attachment(self, volume: str) -> "VolumeAttachmentStateType | None":
        """The state of the volume's attachment; None where it is available."""
        [found] = self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
        attachments = found.get("Attachments", [])
        assert found.get("State") == ("in-use" if attachments else "available")
        return attachments[0].get("State") if attachments else None

    def stays_detaching(self, volume: str, *, seconds: float = 1.0) -> bool:
        """Whether the attachment is `detaching` all the time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.attachment(volume) != "detaching":
                return False
            time.sleep(0.1)
        return True

    def wait_until_available(self, volume: str) -> None:
        wait_until(lambda: self.attachment(volume) is None, seconds=30, what=f"{volume} is available", every=0.05)

    def volume_file(self, volume: str) -> Path:
        """Where this machine keeps the volume."""
        return self.lab.names.volume_file(volume)


@contextmanager
def bare_lab() -> Generator[BareLab]:
    """Starts the lab with its network, and takes all of it away."""
    under_test = LabUnderTest(name=NAME)
    if under_test.names.state_dir.exists():
        under_test.command("down")
    try:
        LabHandle.of(NAME).start(lambda _line: None, f"--shutdown-timeout={SHUTDOWN_TIMEOUT:g}")
        ec2 = under_test.ec2()
        vpc = ec2.create_vpc(CidrBlock=NETWORK)["Vpc"].get("VpcId", "")
        subnets: dict[str, str] = {}
        for number, zone in enumerate(ZONES):
            made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.77.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")
            subnets[zone] = made["Subnet"].get("SubnetId", "")
        of_vpc: list[FilterTypeDef] = [{"Name": "vpc-id", "Values": [vpc]}]
        [group] = [group.get("GroupId", "") for group in ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]]
        inside: IpPermissionTypeDef = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": NETWORK}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[inside])
        yield BareLab(lab=under_test, ec2=ec2, group=group, subnets=subnets)
    finally:
        under_test.command("down")


def error_code(refused: Callable[[], object]) -> str:
    """The code with which AWS refuses a call; AssertionError where it does not."""
    try:
        refused()
    except ClientError as error:
        return error.response.get("Error", {}).get("Code", "")
    raise AssertionError("the call was not refused")
