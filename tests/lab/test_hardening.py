"""What hosts say of themselves: whom processes run as and with which rights, what MySQL holds itself to, who may ask for /readyz."""

import json

import pytest

from tests import mysql_settings
from tests.lab.harness import LabUnderTest

OF_UNIT = """
import json, pathlib, subprocess, sys
found = []
for unit in sys.argv[1:]:
    shown = subprocess.run(["systemctl", "show", "--property=MainPID", "--value", unit], capture_output=True, text=True, check=True).stdout
    pid = shown.strip()
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    found.append([unit, *(status[name].split()[0] for name in ("Uid", "CapEff", "CapBnd", "NoNewPrivs"))])
print(json.dumps(found))
"""

NONE = "0" * 16


@pytest.mark.parametrize(
    ("host", "units"),
    [
        ("web-1", ["webstack-app.service", "webstack-database-proxy.service"]),
        ("db-1", ["webstack-database-agent.service", "webstack-database-check.service"]),
    ],
)
def test_what_serves_is_not_root_and_can_never_become_it(lab: LabUnderTest, host: str, units: list[str]) -> None:
    for unit, user, effective, bounding, no_new_privileges in json.loads(lab.run_on(host, "python3", "-c", OF_UNIT, *units)):
        assert user != "0", unit
        assert (effective, bounding, no_new_privileges) == (NONE, NONE, "1"), unit


def test_mysqld_is_not_root(lab: LabUnderTest) -> None:
    [[_, user, effective, _, no_new_privileges]] = json.loads(lab.run_on("db-1", "python3", "-c", OF_UNIT, "mysql.service"))
    assert user != "0"
    assert (effective, no_new_privileges) == (NONE, "1")


@pytest.mark.parametrize("host", ["db-1", "db-2"])
def test_mysql_says_that_it_is_as_durable_as_the_table(lab: LabUnderTest, host: str) -> None:
    names = ", ".join(f"'{name}'" for name in mysql_settings.RUNTIME)
    found = dict(lab.query(host, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"))
    assert found == mysql_settings.RUNTIME


@pytest.mark.parametrize("host", ["db-1", "db-2"])
def test_no_statement_of_the_stack_s_own_programs_is_slow_enough_to_be_logged_with_its_passwords(lab: LabUnderTest, host: str) -> None:
    ours = "(PROCESSLIST_USER LIKE 'webstack-%' OR PROCESSLIST_USER = 'root' AND PROCESSLIST_COMMAND = 'Sleep')"
    told = (
        "SELECT DISTINCT VARIABLE_VALUE FROM performance_schema.variables_by_thread JOIN performance_schema.threads USING (THREAD_ID) "
        f"WHERE VARIABLE_NAME = 'long_query_time' AND NAME = 'thread/sql/one_connection' AND {ours}"
    )
    assert lab.query(host, told) == [["31536000.000000"]]


def test_readiness_is_not_for_the_public(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        assert browser.get("/readyz").status_code == 403
    assert '"ok"' in lab.run_on("web-1", "curl", "--silent", "http://127.0.0.1:8080/readyz")


def test_a_page_of_the_app_is_compressed_for_who_asks(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        assert browser.get("/", headers={"Accept-Encoding": "gzip"}).headers.get("content-encoding") == "gzip"
        assert "content-encoding" not in browser.get("/", headers={"Accept-Encoding": "identity"}).headers


ENDURED = 5.0
"""Of 10: what systemd calls a medium exposure begins there (systemd-analyze(1), "security")."""

OURS = {
    "lb-1": ["haproxy", "keepalived", "webstack-elastic-ip", "webstack-reconfigure"],
    "web-1": [
        *("nginx", "webstack-app", "webstack-migrate", "webstack-database-proxy", "webstack-await-primary", "webstack-database-ca"),
        *("webstack-secrets", "webstack-drain"),
    ],
    "db-1": ["mysql", "webstack-database-accounts", "webstack-database-agent", "webstack-database-check", "webstack-data-volume"],
}
EVERYWHERE = ["webstack-report", "webstack-firewall"]
EXPOSED = {"webstack-session-manager", "webstack-upgrade"}
"""They install packages, as root, with whatever those packages' scripts do."""


@pytest.mark.parametrize("host", OURS)
def test_systemd_finds_every_service_of_ours_well_shut(lab: LabUnderTest, host: str) -> None:
    units = [*OURS[host], *EVERYWHERE]
    script = 'for unit; do systemd-analyze security --no-pager "$unit.service" | grep -o "Overall exposure.*"; done'
    lines = lab.run_on(host, "sh", "-c", script, "sh", *units).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"Overall exposure level for {unit}.service" for unit in units]
    found = {unit: float(line.split(":")[1].split()[0]) for unit, line in zip(units, lines, strict=True)}
    assert {unit: exposure for unit, exposure in found.items() if exposure > ENDURED} == {}


def test_every_service_that_the_stack_brings_is_judged(lab: LabUnderTest) -> None:
    for host, units in OURS.items():
        shown = lab.run_on(host, "sh", "-c", "cd /etc/systemd/system && ls -d webstack*.service").split()
        brought = {unit.removesuffix(".service") for unit in shown}
        assert brought - EXPOSED <= {*units, *EVERYWHERE}, host


@pytest.mark.parametrize("host", OURS)
def test_a_host_learns_its_ways_from_nobody_and_answers_no_ssh(lab: LabUnderTest, host: str) -> None:
    keys = [f"net.ipv4.conf.all.{name}" for name in ("accept_redirects", "secure_redirects", "send_redirects", "accept_source_route")]
    assert lab.run_on(host, "sysctl", "--values", *keys).split() == ["0"] * len(keys)
    assert lab.run_on(host, "sh", "-c", "systemctl is-enabled ssh.service ssh.socket || true").split() == ["masked", "masked"]


@pytest.mark.parametrize("host", ["db-1", "db-2"])
def test_nothing_on_a_data_volume_is_run_or_is_a_device(lab: LabUnderTest, host: str) -> None:
    options = lab.run_on(host, "findmnt", "--noheadings", "--output", "OPTIONS", "/var/lib/mysql").strip().split(",")
    assert {"nodev", "nosuid", "noexec"} <= set(options)
