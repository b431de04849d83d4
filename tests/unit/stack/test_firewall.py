"""The table of flows: what is reachable from where is exactly this, and every rule of it can be made."""

from stack.firewall import FLOWS, MAX_RULES, max_allowed_cidrs, rules
from stack.roles import ROLES
from tests.unit.stack.conftest import ProgramRunner

TABLE = {
    ("internet", "load_balancer", 80),
    ("internet", "load_balancer", 443),
    ("load_balancer", "web", 8443),
    ("web", "database", 3306),
    ("web", "database", 9200),
    ("database", "database", 3306),
    ("database", "database", 9200),
    *((role, "internet", port) for role in ROLES for port in (80, 443)),
}


def test_a_group_has_room_for_so_many_networks_and_no_more() -> None:
    def most(count: int) -> int:
        made = [(rule.group, rule.direction) for rule in rules(FLOWS, tuple(f"192.0.2.{number}/32" for number in range(count)))]
        return max(made.count(place) for place in made)

    room = max_allowed_cidrs()
    assert most(room) <= MAX_RULES < most(room + 1)


def test_the_table_is_exactly_this() -> None:
    assert {(flow.source, flow.target, flow.port) for flow in FLOWS} == TABLE
    assert len(FLOWS) == len(TABLE)
    assert {flow.protocol for flow in FLOWS} == {"tcp"}


def test_from_outside_only_the_load_balancers_two_ports_are_reachable() -> None:
    made = list(rules(FLOWS, ("192.0.2.0/24", "198.51.100.0/24")))
    outside = {(rule.group, rule.port, rule.peer_cidr) for rule in made if rule.direction == "ingress" and rule.peer_cidr}
    assert outside == {("load_balancer", port, cidr) for port in (80, 443) for cidr in ("192.0.2.0/24", "198.51.100.0/24")}


def test_each_flow_between_hosts_has_a_rule_where_it_leaves_and_one_where_it_arrives() -> None:
    made = list(rules(FLOWS, ("0.0.0.0/0",)))
    leaving = {(rule.group, rule.peer_group, rule.port) for rule in made if rule.direction == "egress" and rule.peer_group}
    arriving = {(rule.peer_group, rule.group, rule.port) for rule in made if rule.direction == "ingress" and rule.peer_group}
    assert leaving == arriving == {row for row in TABLE if "internet" not in row[:2]}
    assert len({rule.name for rule in made}) == len(made)


def test_rules_are_resources_of_their_own_with_their_reasons(program: ProgramRunner) -> None:
    result = program("dev")
    for group in result.by_type("ec2/securityGroup:SecurityGroup"):
        assert not {"ingress", "egress"} & set(group.inputs), "inline and standalone rules fight"
    made = [
        *result.by_type("vpc/securityGroupIngressRule:SecurityGroupIngressRule"),
        *result.by_type("vpc/securityGroupEgressRule:SecurityGroupEgressRule"),
    ]
    assert len(made) == 18
    for rule in made:
        assert rule.inputs["description"]
        assert ("cidrIpv4" in rule.inputs) is not ("referencedSecurityGroupId" in rule.inputs)


def test_the_allowed_networks_are_those_of_the_configuration(program: ProgramRunner) -> None:
    result = program("dev", loadBalancer={"allowedCidrs": ["192.0.2.0/24"]})
    arriving = result.by_type("vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert sorted((rule.inputs["cidrIpv4"], rule.inputs["fromPort"]) for rule in arriving if "cidrIpv4" in rule.inputs) == [
        ("192.0.2.0/24", 80),
        ("192.0.2.0/24", 443),
    ]
