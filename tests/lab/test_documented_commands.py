"""Commands of the documents that no other test here types: looks at a host, and the ways to the lab's API."""

import json
import shlex

import boto3
import pytest

from tests.documented_commands import documented_commands
from tests.lab.harness import REGION, LabUnderTest

REPLICA = "replica"
"""In the place of a host: whichever database host is no primary now."""

LOOKS = {
    "journalctl -b -u webstack-configure": "web-1",
    "journalctl -u webstack-upgrade": "web-1",
    "journalctl -u webstack-secrets": "web-1",
    "journalctl -u webstack-reconfigure": "lb-1",
    "journalctl -u webstack-database-accounts": "db-1",
    "journalctl -u webstack-data-volume": "db-1",
    "journalctl -u mysql": "db-1",
    "systemctl --failed": "lb-1",
    "systemctl list-timers webstack-upgrade.timer": "lb-1",
    "mysql -e 'SELECT VERSION()'": "db-2",
    "mysql -E -e 'SHOW REPLICA STATUS'": REPLICA,
    "findmnt /var/lib/mysql": "db-1",
    "df -h /var/lib/mysql": "db-1",
    "ls -l /dev/disk/by-id/": "db-1",
}
"""What changes nothing, and a host to type it on."""


@pytest.mark.parametrize(("line", "host"), LOOKS.items())
def test_a_look_at_a_host_shows_something(lab: LabUnderTest, line: str, host: str) -> None:
    assert line in {str(command) for command in documented_commands()}, "as a document has it"
    if host == REPLICA:
        host = "db-1" if lab.primary() == "db-2" else "db-2"
    assert lab.run_on(host, *shlex.split(line)).strip()


def test_the_api_is_where_url_and_env_say_and_takes_the_keys_of_env(lab: LabUnderTest) -> None:
    shown = json.loads(lab.command("env", "--json").stdout)
    assert json.loads(lab.command("url", "--api", "--json").stdout) == {"url": shown["AWS_ENDPOINT_URL"]}
    administrator = boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=shown["AWS_ENDPOINT_URL"],
        aws_access_key_id=shown["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=shown["AWS_SECRET_ACCESS_KEY"],
    )
    found = {one.get("InstanceId") for group in administrator.describe_instances()["Reservations"] for one in group.get("Instances", [])}
    assert {host["instance_id"] for host in lab.hosts().values()} <= found


def test_a_quota_is_shown_and_changed(lab: LabUnderTest) -> None:
    before = json.loads(lab.command("quota", "--json").stdout)
    try:
        assert "vcpus=64" in lab.command("quota", "vcpus=64").stdout.splitlines()
    finally:
        lab.command("quota", f"vcpus={before['vcpus']}")
    assert json.loads(lab.command("quota", "--json").stdout) == before
