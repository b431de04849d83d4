"""A data volume that is made larger gives its space while MySQL runs; where that fails, MySQL runs and starts all the same.

Here, because a volume never shrinks again: what other tests share stays as it is.
"""

import json

from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.load import Kind, Load, report
from tests.lab.plain.conftest import SETTINGS
from tests.lab.shop import any_product, buyer, reader, sign_up

HOSTS = ("db-1", "db-2")
LARGER = 12
"""GiB; the tests' stack file has less."""

UNIT = "webstack-data-volume.service"
BROKEN = "mv /usr/sbin/xfs_growfs /root/ && ln -s /bin/false /usr/sbin/xfs_growfs"
MENDED = f"mv /root/xfs_growfs /usr/sbin/xfs_growfs && systemctl start {UNIT}"


def free(lab: LabUnderTest, host: str) -> float:
    """GiB that are free on the data volume, as `df` on the host shows it."""
    return int(lab.run_on(host, "df", "--output=avail", "--block-size=1M", "/var/lib/mysql").split()[-1]) / 1024


def mysqld(lab: LabUnderTest, host: str) -> str:
    """The process that serves, which a restart would change."""
    return lab.run_on(host, "systemctl", "show", "--property=MainPID", "--value", "mysql.service").strip()


def facts(lab: LabUnderTest, host: str) -> dict[str, str]:
    """What the host's readiness record tells besides its state."""
    s3, instance = lab.s3(), str(lab.hosts()[host]["instance_id"])
    for bucket in s3.list_buckets()["Buckets"]:
        for listed in s3.list_objects_v2(Bucket=bucket.get("Name", ""), Prefix="hosts/").get("Contents", []):
            if listed.get("Key", "").endswith(f":{instance}.json"):
                body = s3.get_object(Bucket=bucket.get("Name", ""), Key=listed.get("Key", ""))["Body"].read()
                return json.loads(body)["facts"]
    raise AssertionError(f"{host} has no record")


def test_a_larger_volume_gives_its_space_while_mysql_runs_and_no_failure_of_that_is_in_mysqls_way(plain: LabUnderTest) -> None:
    before = {host: free(plain, host) for host in HOSTS}
    assert max(before.values()) < LARGER - 1, "there is something to gain"
    processes = {host: mysqld(plain, host) for host in HOSTS}
    plain.run_on("db-2", "sh", "-c", BROKEN)
    with plain.http_client() as client:
        token, product = sign_up(client), any_product(client)
    clients = [(kind, shopper) for kind in Kind for shopper in (reader(), buyer(token, product))]
    with Load(base_url=plain.url, clients=clients) as load:
        plain.up(*SETTINGS, f"database.volumeSize={LARGER}")
        wait_until(lambda: free(plain, "db-1") > before["db-1"] + 1, seconds=60, what="db-1 has the space", every=1)
        wait_until(lambda: UNIT in plain.run_on("db-2", "systemctl", "--failed"), seconds=60, what="db-2 says that it failed", every=1)
    assert [outcome for outcome in load.outcomes if not outcome.succeeded] == [], report(load.outcomes)
    assert {outcome.method for outcome in load.outcomes} == {"GET", "POST"}
    assert {host: mysqld(plain, host) for host in HOSTS} == processes, "MySQL ran on"
    said = plain.run_on("db-2", "journalctl", "--output=cat", f"--unit={UNIT}")
    assert "the data volume's file system was not extended: xfs_growfs -d /var/lib/mysql: exit code 1" in said

    plain.command("stop", "db-2")
    plain.command("start", "db-2")
    wait_until(lambda: plain.hosts()["db-2"]["ready"], seconds=120, what="db-2 serves from the space that it has", every=1)
    assert free(plain, "db-2") < before["db-2"] + 1
    assert "was not extended" in facts(plain, "db-2")["data_volume"]

    processes["db-2"] = mysqld(plain, "db-2")
    plain.run_on("db-2", "sh", "-c", MENDED)
    assert free(plain, "db-2") > before["db-2"] + 1
    assert UNIT not in plain.run_on("db-2", "systemctl", "--failed")
    assert {host: mysqld(plain, host) for host in HOSTS} == processes, "MySQL ran on"
