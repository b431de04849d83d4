"""Every host boots without a complaint: no failed unit, nothing that cloud-init warns of, configuration accepted by its own programs."""

import json

import pytest

from tests.lab.harness import LabUnderTest

HOSTS = ["lb-1", "web-1", "web-2", "db-1", "db-2"]
OWN_CHECKS = {
    "lb-1": [["haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"], ["keepalived", "-t", "-f", "/etc/keepalived/keepalived.conf"]],
    "web-1": [["nginx", "-t"], ["haproxy", "-c", "-f", "/etc/webstack/database-proxy.cfg"]],
    "db-1": [["mysqld", "--validate-config"]],
}


@pytest.mark.parametrize("host", HOSTS)
def test_no_unit_has_failed(lab: LabUnderTest, host: str) -> None:
    assert lab.run_on(host, "systemctl", "--failed", "--plain", "--no-legend").strip() == ""
    assert lab.run_on(host, "systemctl", "is-system-running", "--wait", check=False).strip() == "running"


@pytest.mark.parametrize("host", HOSTS)
def test_cloud_init_has_nothing_to_complain_of(lab: LabUnderTest, host: str) -> None:
    status = json.loads(lab.run_on(host, "cloud-init", "status", "--format", "json", check=False))
    assert status["status"] == "done"
    assert status["errors"] == []
    assert status["recoverable_errors"] == {}


@pytest.mark.parametrize("host", HOSTS)
def test_the_user_data_is_what_cloud_init_expects(lab: LabUnderTest, host: str) -> None:
    assert "Valid schema" in lab.run_on(host, "cloud-init", "schema", "--system", check=False)


@pytest.mark.parametrize(("host", "command"), [(host, command) for host, commands in OWN_CHECKS.items() for command in commands])
def test_each_configuration_is_accepted_by_its_own_program(lab: LabUnderTest, host: str, command: list[str]) -> None:
    lab.run_on(host, *command)


@pytest.mark.parametrize("host", HOSTS)
def test_systemd_accepts_every_unit_of_ours(lab: LabUnderTest, host: str) -> None:
    units = lab.run_on(
        host,
        "sh",
        "-c",
        "ls /etc/systemd/system/webstack*.service /etc/systemd/system/webstack*.timer /etc/systemd/system/webstack.target 2>/dev/null",
        check=False,
    )
    ours = [unit for unit in units.split() if unit.endswith((".service", ".timer", ".target", ".mount"))]
    assert ours
    complaints = lab.run_on(host, "sh", "-c", f"systemd-analyze verify {' '.join(ours)} 2>&1", check=False)
    assert [line for line in complaints.splitlines() if "/etc/systemd/system/webstack" in line] == []
