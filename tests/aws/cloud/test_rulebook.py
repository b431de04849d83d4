"""What the firewall reads of the API: groups, rules of every kind, and the prefix lists that they name."""

from ipaddress import IPv4Address

from lab.hypervisor.firewall.model import GroupRule
from lab.hypervisor.firewall.reader import SecurityGroupReader
from lab.hypervisor.state_reader import Ec2StateReader
from tests.aws.cloud.support import Network

S3 = IPv4Address("198.19.0.17")


def test_rules_of_every_kind_are_read_with_what_they_name(api: str, network: Network) -> None:
    ec2 = network.ec2
    own = ec2.create_managed_prefix_list(
        PrefixListName="offices", MaxEntries=2, AddressFamily="IPv4", Entries=[{"Cidr": "192.0.2.0/24"}, {"Cidr": "198.51.100.0/24"}]
    )["PrefixList"].get("PrefixListId", "")
    s3 = next(
        found.get("PrefixListId", "")
        for found in ec2.describe_managed_prefix_lists()["PrefixLists"]
        if found.get("PrefixListName", "").endswith(".s3")
    )
    ec2.authorize_security_group_ingress(
        GroupId=network.group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}]},
            {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "UserIdGroupPairs": [{"GroupId": network.group}]},
            {"IpProtocol": "112", "FromPort": -1, "ToPort": -1, "PrefixListIds": [{"PrefixListId": own}]},
            {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        ],
    )
    ec2.authorize_security_group_egress(
        GroupId=network.group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": s3}]}],
    )
    region = ec2.meta.region_name
    book = SecurityGroupReader(Ec2StateReader(api), s3_address=S3).read([region])
    rules = [rule for rule in book.rules if rule.group_id == network.group]
    assert {_shape(rule) for rule in rules} == {
        (False, "tcp", 80, 81, "10.0.0.0/8", "inside"),
        (False, "udp", 53, 53, network.group, ""),
        (False, "112", -1, -1, own, ""),
        (False, "icmp", 8, -1, "::/0", ""),
        (True, "tcp", 443, 443, s3, ""),
        (True, "-1", -1, -1, "0.0.0.0/0", ""),
    }
    assert book.prefix_lists == {own: ("192.0.2.0/24", "198.51.100.0/24"), s3: ("198.19.0.17/32",)}
    assert book.groups[network.group].name


def _shape(rule: GroupRule) -> tuple[bool, str, int, int, str | None, str]:
    peer = rule.cidr_ipv4 or rule.cidr_ipv6 or rule.prefix_list_id or rule.peer_group_id
    return rule.egress, rule.protocol, rule.from_port, rule.to_port, peer, rule.description
