"""Security groups as the AWS API returns them, unchecked: the input from which `policy` builds allow rules."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address


@dataclass(frozen=True, kw_only=True)
class Group:
    """One security group."""

    group_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class GroupRule:
    """One rule as DescribeSecurityGroupRules returns it. Exactly one of the four peers is set, unless the rule is malformed.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html
    """

    rule_id: str
    group_id: str
    egress: bool
    protocol: str
    """`tcp`, `udp`, `icmp`, `icmpv6`, a number as text, or `-1` for all."""
    from_port: int = -1
    """The first port, or the ICMP type; -1: all."""
    to_port: int = -1
    """The last port, or the ICMP code; -1: all."""
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    prefix_list_id: str | None = None
    peer_group_id: str | None = None
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class NetworkInterface:
    """The network interface of one instance, and the router's end of its link."""

    host: str
    instance_id: str
    link: str
    address: IPv4Address
    group_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SecurityGroupSnapshot:
    """Groups, their rules, and the prefix lists that the rules name, read at one time."""

    groups: dict[str, Group] = field(default_factory=dict[str, Group])
    """By id."""
    rules: tuple[GroupRule, ...] = ()
    prefix_lists: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """CIDRs by the list's id."""
