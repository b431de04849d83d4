"""Security groups for the firewall's tests: two web hosts, a balancer, and the rules between them."""

from ipaddress import IPv4Address

from lab.hypervisor.firewall.model import Group, GroupRule, NetworkInterface, SecurityGroupSnapshot
from lab.hypervisor.firewall.ruleset import RouterSide

LB, WEB = "sg-1b", "sg-2e"
ROUTER = RouterSide(wan="wan", endpoints=(IPv4Address("198.19.0.16"), IPv4Address("198.19.0.17")))

BALANCER = NetworkInterface(host="lb-1", instance_id="i-1", link="v-1", address=IPv4Address("10.0.0.10"), group_ids=(LB,))
WEB_1 = NetworkInterface(host="web-1", instance_id="i-2", link="v-2", address=IPv4Address("10.0.4.4"), group_ids=(WEB,))
WEB_2 = NetworkInterface(host="web-2", instance_id="i-3", link="v-3", address=IPv4Address("10.0.4.5"), group_ids=(WEB,))


def rule(
    rule_id: str,
    group_id: str,
    protocol: str,
    first: int = -1,
    last: int | None = None,
    *,
    egress: bool = False,
    cidr_ipv4: str | None = None,
    cidr_ipv6: str | None = None,
    prefix_list_id: str | None = None,
    peer_group_id: str | None = None,
    description: str = "",
) -> GroupRule:
    """A rule; in, and from everywhere, unless it says otherwise."""
    anyone = not (cidr_ipv4 or cidr_ipv6 or prefix_list_id or peer_group_id)
    return GroupRule(
        rule_id=rule_id,
        group_id=group_id,
        egress=egress,
        protocol=protocol,
        from_port=first,
        to_port=first if last is None else last,
        cidr_ipv4="0.0.0.0/0" if anyone else cidr_ipv4,
        cidr_ipv6=cidr_ipv6,
        prefix_list_id=prefix_list_id,
        peer_group_id=peer_group_id,
        description=description,
    )


def snapshot(*rules: GroupRule, groups: tuple[str, ...] = (LB, WEB), **prefix_lists: tuple[str, ...]) -> SecurityGroupSnapshot:
    """A rulebook of these rules; prefix lists as `pl_1=(…)` for `pl-1`."""
    return SecurityGroupSnapshot(
        groups={group_id: Group(group_id=group_id, name={LB: "balancers", WEB: "webs"}.get(group_id, group_id)) for group_id in groups},
        rules=rules,
        prefix_lists={name.replace("_", "-"): cidrs for name, cidrs in prefix_lists.items()},
    )


STACK_RULES = (
    rule("sgr-site", LB, "tcp", 443),
    rule("sgr-out", LB, "tcp", 8080, egress=True, peer_group_id=WEB),
    rule("sgr-in", WEB, "tcp", 8080, peer_group_id=LB),
)
