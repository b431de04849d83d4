"""Two hosts beside the stack, in one public subnet, with nothing on them but security groups that a test may change as it likes."""

import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from lab.hypervisor import namespaces
from lab.hypervisor.probes import TCP, Probe, ProbePoint, run_probes
from lab.hypervisor.router import MACHINE_LINK
from tests.lab.harness import TIMEOUT_FACTOR, LabUnderTest, wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import IpPermissionTypeDef

_CANARY_PORT = 9


@dataclass(frozen=True, kw_only=True)
class BareHost:
    """One bare host. Its namespace is where its programs would be: a test's sockets stand for them."""

    instance_id: str
    interface_id: str
    group_id: str
    address: IPv4Address
    namespace: str

    @property
    def probe_point(self) -> ProbePoint:
        return ProbePoint(namespace=self.namespace, link=MACHINE_LINK)

    def listen(self, port: int) -> socket.socket:
        """A listening socket on the host."""
        listener = namespaces.open_socket_in(self.namespace, socket.AF_INET, socket.SOCK_STREAM, (str(self.address), port))
        listener.settimeout(5 * TIMEOUT_FACTOR)
        return listener

    def connect(self, address: IPv4Address, port: int) -> socket.socket:
        """A connection from the host."""
        return namespaces.call_in_namespace(
            self.namespace, lambda: socket.create_connection((str(address), port), timeout=5 * TIMEOUT_FACTOR)
        )


@dataclass(frozen=True, kw_only=True)
class HostPair:
    """The pair, and the API client that changes their groups."""

    lab: LabUnderTest
    ec2: "EC2Client"
    a: BareHost
    b: BareHost
    vpc_id: str

    def permit(self, host: BareHost, permission: "IpPermissionTypeDef", *, egress: bool) -> str:
        """Adds one rule to the host's own group; its id."""
        authorize = self.ec2.authorize_security_group_egress if egress else self.ec2.authorize_security_group_ingress
        return authorize(GroupId=host.group_id, IpPermissions=[permission])["SecurityGroupRules"][0].get("SecurityGroupRuleId", "")

    def revoke(self, host: BareHost, rule_id: str, *, egress: bool) -> None:
        """Takes a rule away."""
        revoke = self.ec2.revoke_security_group_egress if egress else self.ec2.revoke_security_group_ingress
        revoke(GroupId=host.group_id, SecurityGroupRuleIds=[rule_id])

    def revoke_all(self) -> None:
        """Takes away every rule of both groups."""
        for host in (self.a, self.b):
            rules = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [host.group_id]}])["SecurityGroupRules"]
            for rule in rules:
                self.revoke(host, rule.get("SecurityGroupRuleId", ""), egress=bool(rule.get("IsEgress")))

    def wait_until_applied(self) -> None:
        """Returns when all changes made so far hold: a rule made last for a port that nothing else uses is seen to hold.

        What the API says is read anew for every change, so the newest one brings all older ones with it.
        """
        last: IpPermissionTypeDef = {
            "IpProtocol": "tcp",
            "FromPort": _CANARY_PORT,
            "ToPort": _CANARY_PORT,
            "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
        }
        rules = [(self.a, self.permit(self.a, last, egress=True), True), (self.b, self.permit(self.b, last, egress=False), False)]
        wait_until(lambda: self.passes(_CANARY_PORT, timeout=0.1), seconds=30, what="the last rule holds", every=0.05)
        for host, rule, egress in rules:
            self.revoke(host, rule, egress=egress)
        wait_until(lambda: not self.passes(_CANARY_PORT, timeout=0.1), seconds=30, what="the last rule is gone", every=0.05)

    def arrivals(
        self, *packets: tuple[int, int], source: BareHost | None = None, target: BareHost | None = None, timeout: float = 0.5
    ) -> list[bool]:
        """Whether packets (protocol, port) from one host, `a` by default, arrive at the other."""
        source, target = source or self.a, target or self.b
        asked = [
            Probe(source=source.probe_point, target=target.probe_point, address=target.address, protocol=protocol, port=port)
            for protocol, port in packets
        ]
        return [outcome.arrived for outcome in run_probes(asked, timeout=timeout * TIMEOUT_FACTOR)]

    def passes(self, port: int, timeout: float = 0.5) -> bool:
        """Whether TCP from `a` to a port of `b` arrives."""
        return self.arrivals((TCP, port), timeout=timeout) == [True]


@contextmanager
def host_pair(lab: LabUnderTest) -> Generator[HostPair]:
    """Boots the pair and takes it away again, groups and all."""
    ec2 = lab.ec2()
    instance = lab.instance("lb-1")
    vpc_id, subnet_id, image_id = instance.get("VpcId", ""), instance.get("SubnetId", ""), instance.get("ImageId", "")
    groups: list[str] = []
    hosts: list[BareHost] = []
    try:
        for name in ("bare-a", "bare-b"):
            groups.append(ec2.create_security_group(GroupName=name, Description="a test's", VpcId=vpc_id)["GroupId"])
            hosts.append(launch(lab, name, subnet_id, image_id, groups[-1]))
        pair = HostPair(lab=lab, ec2=ec2, a=hosts[0], b=hosts[1], vpc_id=vpc_id)
        pair.revoke_all()  # a new group lets everything out
        for host in hosts:
            wait_until(lambda host=host: namespaces.exists(host.namespace), seconds=60, what="a bare host is being connected")
        pair.wait_until_applied()  # a packet has passed: what does not arrive from now on is refused
        yield pair
    finally:
        remove(ec2, [host.instance_id for host in hosts], groups)


def launch(lab: LabUnderTest, name: str, subnet_id: str, image_id: str, group_id: str) -> BareHost:
    """Has a bare host boot; its namespace is there a little later."""
    launched = lab.ec2().run_instances(
        ImageId=image_id,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet_id, "Groups": [group_id], "DeleteOnTermination": True}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
    )["Instances"][0]
    instance_id = launched.get("InstanceId", "")
    return BareHost(
        instance_id=instance_id,
        interface_id=launched.get("NetworkInterfaces", [])[0].get("NetworkInterfaceId", ""),
        group_id=group_id,
        address=IPv4Address(launched.get("PrivateIpAddress", "")),
        namespace=lab.names.machine_netns(instance_id),
    )


def remove(ec2: "EC2Client", instance_ids: Sequence[str], groups: Sequence[str]) -> None:
    """Terminates hosts, waits until they are, and deletes security groups that no other host is in."""
    if instance_ids:
        ec2.terminate_instances(InstanceIds=list(instance_ids))

        def gone() -> bool:
            instances = ec2.describe_instances(InstanceIds=list(instance_ids))["Reservations"]
            return all(one.get("State", {}).get("Name") == "terminated" for found in instances for one in found.get("Instances", []))

        wait_until(gone, seconds=150, what="the bare hosts are terminated")
    for group in groups:
        ec2.delete_security_group(GroupId=group)
