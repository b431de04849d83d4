"""Security groups on the router: how fast a change holds with 20 web hosts, and what a packet costs with 2 and with 20.

The router and the links are the lab's own, and so are reading, compiling and loading; the hosts are bare network namespaces, because a
packet costs the router the same whoever sends it.
"""

import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import Measurement
from lab.cloud.images import BAKED_IMAGE
from lab.cloud.quota_client import quotas
from lab.hypervisor import namespaces, node_settings, router, teardown
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.firewall.enforcer import Enforcer
from lab.hypervisor.firewall.model import Group, GroupRule, NetworkInterface, SecurityGroupSnapshot
from lab.hypervisor.firewall.reader import SecurityGroupReader
from lab.hypervisor.firewall.ruleset import RouterSide
from lab.hypervisor.probes import TCP, Probe, ProbePoint, run_probes
from lab.hypervisor.router import MACHINE_LINK
from lab.hypervisor.state_reader import Ec2StateReader
from lab.names import WAN, LabNames
from lab.standalone_moto import standalone_moto
from stack.firewall import ANY_IPV4, FLOWS, rules
from stack.roles import ROLES
from stack.roles.database import MYSQL_PORT
from stack.roles.web import PORT as WEB_PORT

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import IpPermissionTypeDef

NAME = "benchfw"
REGION = "eu-central-1"
SIZES = (2, 20)
ROUNDS = 20_000
CONNECTIONS = 2_000
REPEATS = 5
CHANGES = 10


def measure() -> list[Measurement]:
    """Both measurements. Needs root; what it makes on the machine bears a lab's prefix of its own and is gone afterwards."""
    names = LabNames.of(NAME)
    figures: list[Measurement] = []
    for size in SIZES:
        with _router(names) as enforcer:
            hosts = _hosts(size)
            for host in hosts:
                router.connect(names, host)
            figures += _measure_packets(names, enforcer, hosts, size)
    with (
        _router(names) as enforcer,
        tempfile.TemporaryDirectory(prefix="webstack-bench-") as folder,
        standalone_moto(Path(folder)) as endpoint,
    ):
        figures += _measure_convergence(names, enforcer, endpoint)
    return figures


@contextmanager
def _router(names: LabNames) -> Generator[Enforcer]:
    teardown.take_down(names)
    node_settings.acquire(names)
    try:
        router.set_up(names)
        surfaces = RouterSide(wan=WAN, endpoints=(names.api_address, names.s3_address))
        yield Enforcer(surfaces, lambda script: router.load_rules(names, script))
    finally:
        teardown.take_down(names)


def _hosts(web_hosts: int) -> list[DesiredMachine]:
    """The stack's hosts with that many web hosts, as the API would show them."""
    roles = ["load_balancer", "database", "database", *["web"] * web_hosts]
    return [_machine(f"i-{number:03x}{0:014x}", role, IPv4Address("10.20.64.0") + 10 + number) for number, role in enumerate(roles)]


def _machine(instance_id: str, role: str, address: IPv4Address) -> DesiredMachine:
    return DesiredMachine(
        instance_id=instance_id,
        region=REGION,
        state="running",
        name=f"{role}-{instance_id[2:5]}",
        role=role,
        zone=f"{REGION}a",
        image_id="",
        address=IPv4Interface(f"{address}/20"),
        group_ids=(f"sg-{role}",),
    )


def _security_groups() -> SecurityGroupSnapshot:
    """The stack's own table of rules."""
    return SecurityGroupSnapshot(
        groups={f"sg-{role}": Group(group_id=f"sg-{role}", name=role) for role in ROLES},
        rules=tuple(
            GroupRule(
                rule_id=f"sgr-{number}",
                group_id=f"sg-{rule.group}",
                egress=rule.direction == "egress",
                protocol=rule.protocol,
                from_port=rule.port,
                to_port=rule.port,
                cidr_ipv4=rule.peer_cidr,
                peer_group_id=f"sg-{rule.peer_group}" if rule.peer_group else None,
            )
            for number, rule in enumerate(rules(FLOWS, (ANY_IPV4,)))
        ),
    )


def _interfaces(names: LabNames, hosts: Iterable[DesiredMachine]) -> list[NetworkInterface]:
    return [
        NetworkInterface(
            host=host.name,
            instance_id=host.instance_id,
            link=names.router_link(host.instance_id),
            address=host.address.ip,
            group_ids=host.group_ids,
        )
        for host in hosts
        if host.address
    ]


def _measure_packets(names: LabNames, enforcer: Enforcer, hosts: Sequence[DesiredMachine], size: int) -> list[Measurement]:
    balancer, web = hosts[0], hosts[-1]
    figures: list[Measurement] = []
    for what in ("no rules", f"{size} web hosts"):
        if what != "no rules":
            enforcer.enforce(_security_groups(), _interfaces(names, hosts))
        elif size != SIZES[0]:
            continue
        with _listener(names, web) as listener:
            packet = min(_round_trip_seconds(names, balancer, listener) for _ in range(REPEATS)) / 2
            opening = min(_connection_seconds(names, balancer, listener) for _ in range(REPEATS))
        figures += [
            Measurement(
                name=f"{what}: one packet of an open connection",
                value=packet * 1e6,
                unit="us",
                note=f"half a round trip, kernel and all; the fastest of {REPEATS}",
            ),
            Measurement(name=f"{what}: opening and closing a connection", value=opening * 1e6, unit="us", note="about nine packets"),
        ]
    return figures


@contextmanager
def _listener(names: LabNames, host: DesiredMachine) -> Generator[socket.socket]:
    address = str(host.address.ip) if host.address else ""
    namespace = names.machine_netns(host.instance_id)
    with namespaces.open_socket_in(namespace, socket.AF_INET, socket.SOCK_STREAM, (address, WEB_PORT)) as listener:
        listener.setblocking(True)
        yield listener


def _round_trip_seconds(names: LabNames, source: DesiredMachine, listener: socket.socket) -> float:
    """Seconds of one round trip. One thread plays both ends: the kernel delivers within `send`, so no scheduling is in the number."""
    with _open_connection(names, source, listener) as near, listener.accept()[0] as far:
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        for _ in range(ROUNDS):
            near.send(b"x")
            far.recv(1)
            far.send(b"x")
            near.recv(1)
        return (time.perf_counter() - began) / ROUNDS


def _connection_seconds(names: LabNames, source: DesiredMachine, listener: socket.socket) -> float:
    def enter() -> float:
        began = time.perf_counter()
        for _ in range(CONNECTIONS):
            with socket.create_connection(listener.getsockname()):
                listener.accept()[0].close()
        return (time.perf_counter() - began) / CONNECTIONS

    return namespaces.call_in_namespace(names.machine_netns(source.instance_id), enter)


def _open_connection(names: LabNames, source: DesiredMachine, listener: socket.socket) -> socket.socket:
    return namespaces.call_in_namespace(names.machine_netns(source.instance_id), lambda: socket.create_connection(listener.getsockname()))


def _measure_convergence(names: LabNames, enforcer: Enforcer, endpoint: str) -> list[Measurement]:
    quotas(endpoint, {"vcpus": 10 * SIZES[-1]})
    reader = Ec2StateReader(endpoint)
    ec2 = reader.client(REGION)
    _create_network(ec2, SIZES[-1])
    rulebooks = SecurityGroupReader(reader, s3_address=names.s3_address)
    machines = list(reader.read([REGION]).machines.values())
    for machine in machines:
        router.connect(names, machine)
    group_ids = {machine.role: machine.group_ids[0] for machine in machines}

    def follow() -> None:
        enforcer.enforce(rulebooks.read([REGION]), _interfaces(names, machines))

    follow()
    source, target = (next(machine for machine in machines if machine.role == role) for role in ("web", "database"))
    one = Probe(
        source=ProbePoint(namespace=names.machine_netns(source.instance_id), link=MACHINE_LINK),
        target=ProbePoint(namespace=names.machine_netns(target.instance_id), link=MACHINE_LINK),
        address=target.address.ip if target.address else IPv4Address(0),
        protocol=TCP,
        port=MYSQL_PORT,
    )
    permission: IpPermissionTypeDef = {
        "IpProtocol": "tcp",
        "FromPort": MYSQL_PORT,
        "ToPort": MYSQL_PORT,
        "UserIdGroupPairs": [{"GroupId": group_ids["web"]}],
    }
    ec2.authorize_security_group_egress(
        GroupId=group_ids["web"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": MYSQL_PORT, "ToPort": MYSQL_PORT, "IpRanges": [{"CidrIp": ANY_IPV4}]}],
    )
    added: list[float] = []
    for _ in range(CHANGES):
        made = ec2.authorize_security_group_ingress(GroupId=group_ids["database"], IpPermissions=[permission])["SecurityGroupRules"]
        added.append(_seconds(lambda: (follow(), _wait_until_delivered(one))))
        ec2.revoke_security_group_ingress(
            GroupId=group_ids["database"], SecurityGroupRuleIds=[rule.get("SecurityGroupRuleId", "") for rule in made]
        )
        follow()
    whole = [_seconds(lambda: (reader.read([REGION]), follow())) for _ in range(CHANGES)]
    note = "read, compiled, loaded; the lab waits up to 200 ms more, for changes that come together"
    return [
        Measurement(
            name=f"{SIZES[-1]} web hosts: a rule added, until a packet passes", value=statistics.median(added) * 1e3, unit="ms", note=note
        ),
        Measurement(name=f"{SIZES[-1]} web hosts: the slowest of {CHANGES}", value=max(added) * 1e3, unit="ms"),
        Measurement(
            name=f"{SIZES[-1]} web hosts: the same after a host changed",
            value=statistics.median(whole) * 1e3,
            unit="ms",
            note="all is read",
        ),
    ]


def _create_network(ec2: "EC2Client", web_hosts: int) -> None:
    """A network with the stack's groups, its table of rules but the one that is measured, and instances in them."""
    vpc_id = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"].get("VpcId", "")
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.20.64.0/20")["Subnet"].get("SubnetId", "")
    groups = {role: ec2.create_security_group(GroupName=role, Description=role, VpcId=vpc_id)["GroupId"] for role in ROLES}
    for group_id in groups.values():
        everything: IpPermissionTypeDef = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANY_IPV4}]}
        ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=[everything])
    for rule in rules(FLOWS, (ANY_IPV4,)):
        if (rule.group, rule.peer_group, rule.port) in (("database", "web", MYSQL_PORT), ("web", "database", MYSQL_PORT)):
            continue
        peer: IpPermissionTypeDef = {"IpProtocol": rule.protocol, "FromPort": rule.port, "ToPort": rule.port}
        if rule.peer_group:
            peer["UserIdGroupPairs"] = [{"GroupId": groups[rule.peer_group]}]
        else:
            peer["IpRanges"] = [{"CidrIp": rule.peer_cidr or ""}]
        authorize = ec2.authorize_security_group_egress if rule.direction == "egress" else ec2.authorize_security_group_ingress
        authorize(GroupId=groups[rule.group], IpPermissions=[peer])
    for role, count in (("load_balancer", 1), ("database", 2), ("web", web_hosts)):
        ec2.run_instances(
            ImageId=BAKED_IMAGE,
            MinCount=count,
            MaxCount=count,
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet_id, "Groups": [groups[role]], "DeleteOnTermination": True}],
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": role}]}],
        )


def _wait_until_delivered(probe: Probe) -> None:
    while not run_probes([probe], timeout=0.05)[0].arrived:
        pass


def _seconds(operation: Callable[[], object]) -> float:
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began
