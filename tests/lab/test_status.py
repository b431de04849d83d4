"""What `status` and an `up` without changes say of what stopped serving, tier by tier and the way to them, and once it serves again."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.lab.harness import LabUnderTest, wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import SecurityGroupRuleUpdateTypeDef

WEB = ("web-1", "web-2")


def reasons(lab: LabUnderTest) -> dict[str, str]:
    """Host → why it does not serve, of those that do not."""
    return {name: str(host["reason"]) for name, host in lab.hosts().items() if not host["ready"]}


@pytest.fixture
def broken(lab: LabUnderTest) -> Iterator[str]:
    """Nginx is stopped on both web hosts, so that the load balancer has no server, and the replica is told of rows that it never got.

    Gives the replica's name. Afterwards all is well again, whatever the test did.
    """
    primary = lab.primary()
    replica = "db-2" if primary == "db-1" else "db-1"
    restored = "SET sql_log_bin = 0; CREATE TABLE restored.old (id INT PRIMARY KEY, v INT); INSERT INTO restored.old VALUES (1, 1)"
    lab.query(primary, f"CREATE DATABASE restored; {restored}; SET sql_log_bin = 1; UPDATE restored.old SET v = 2")
    for host in WEB:
        lab.run_on(host, "systemctl", "stop", "nginx")
    try:
        yield replica
    finally:
        for host in WEB:
            lab.run_on(host, "systemctl", "start", "nginx")
        if "the applier stopped" in reasons(lab).get(replica, ""):
            lab.run_on(replica, "webstack-database", "reseed")
        wait_until(lambda: not reasons(lab), seconds=60, what="every host serves again")
        lab.query(primary, "DROP DATABASE restored")


def test_what_stopped_serving_is_told_by_status_and_up_until_it_is_mended(lab: LabUnderTest, broken: str) -> None:
    assert "it is the primary" in lab.run_on("db-1" if broken == "db-2" else "db-2", "sh", "-c", "webstack-database reseed 2>&1; true")
    expected = {*WEB, "lb-1", broken}

    def all_told() -> dict[str, str]:
        found = reasons(lab)
        assert set(found) == expected, found
        return found

    told = wait_until(all_told, seconds=20, what="status tells of every tier")
    assert "nginx.service does not run" in told["web-1"]
    assert "none of 2 web hosts is up" in told["lb-1"]
    assert "the applier stopped: " in told[broken]
    assert "doesn't exist" in told[broken], "MySQL's own words"

    said = lab.up(status=1)
    text = said.stdout + said.stderr
    assert "serving after" not in text
    assert "Nothing was deleted." in text
    for words in (
        "web-1: ",
        "nginx.service does not run",
        "none of 2 web hosts is up",
        f"{broken} (",
        "the applier stopped: ",
        "webstack-database reseed",
    ):
        assert words in text
    for host in WEB:
        lab.run_on(host, "systemctl", "start", "nginx")
    assert f"{broken} replicates from" in lab.run_on(broken, "webstack-database", "reseed")
    wait_until(lambda: not reasons(lab), seconds=60, what="every host serves again")
    assert lab.query(broken, "SELECT v FROM restored.old") == [["2"]]
    assert f"site   {lab.url}/   answers\n" in lab.command("status").stdout


def test_what_a_host_makes_of_its_record_concerns_that_host_and_no_terminal(lab: LabUnderTest) -> None:
    def written(call: str) -> None:
        own = "import sys; sys.path.insert(0, '/usr/local/lib/webstack'); from webstack_host import aws, readiness; "
        lab.run_on("web-1", "python3", "-c", f"{own}key = f'hosts/{{aws.user_id()}}.json'; {call}")

    lab.run_on("web-1", "systemctl", "stop", "webstack-report")
    try:
        bad = {"b'[' * 200000": "it is not JSON", "b'[1,2]'": "it is not a JSON object", "b'x' * 3000000": "it is larger than 256 KB"}
        for body, why in bad.items():
            written(f"aws.put_object(key, {body})")
            assert reasons(lab) == {"web-1": f"its record cannot be read: {why}"}
        written(r"readiness.publish('unready', '\x1b[31m ::error::x')")
        assert reasons(lab) == {"web-1": r"unready: \x1b[31m : :error: :x"}
        said = lab.command("status").stdout
        assert r"unready: \x1b[31m : :error: :x" in said
        assert "\x1b" not in said
    finally:
        lab.run_on("web-1", "systemctl", "start", "webstack-report")
    wait_until(lambda: not reasons(lab), seconds=30, what="the host says again that it serves")


@pytest.fixture
def unreachable(lab: LabUnderTest) -> Iterator[None]:
    """The load balancers' security group lets HTTPS in from elsewhere alone; afterwards from everywhere again, by the same rule."""
    ec2 = lab.ec2()
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    rule = next(one for one in rules if not one.get("IsEgress") and one.get("FromPort") == 443 and one.get("CidrIpv4") == "0.0.0.0/0")

    def let_in(network: str) -> None:
        wanted: SecurityGroupRuleUpdateTypeDef = {
            "SecurityGroupRuleId": str(rule.get("SecurityGroupRuleId")),
            "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": network},
        }
        ec2.modify_security_group_rules(GroupId=str(rule.get("GroupId")), SecurityGroupRules=[wanted])

    let_in("203.0.113.0/24")
    try:
        yield
    finally:
        let_in("0.0.0.0/0")


@pytest.mark.usefixtures("unreachable")
def test_a_site_that_no_visitor_reaches_is_not_called_serving_whatever_its_hosts_say(lab: LabUnderTest) -> None:
    assert not reasons(lab)
    told = json.loads(lab.command("status", "--json").stdout)
    assert (told["ok"], len(told["hosts"])) == (True, 5)
    nobody = f"nobody answers at {lab.url.removeprefix('https://')} port 443"
    assert told["site"] == {"url": f"{lab.url}/", "answers": False, "message": nobody}
    assert f"site   {lab.url}/   does not answer: {nobody}" in " ".join(lab.command("status").stdout.splitlines())
    said = lab.up(status=1)
    text = said.stdout + said.stderr
    assert "serving after" not in text
    assert f"{lab.url}/ does not serve after" in text
    assert "nobody answers at" in text
    assert not reasons(lab), "every host serves"
