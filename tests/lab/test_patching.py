"""Security upgrades on running hosts: they wait until a host serves, come from Debian's security archive alone, and nobody notices them."""

import pytest

from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.load import Kind, Load, report
from tests.lab.shop import reader

HOSTS = ["lb-1", "web-1", "web-2", "db-1", "db-2"]
ALLOWED = (
    "Allowed origins are: origin=Debian,codename=trixie,label=Debian-Security, origin=Debian,codename=trixie-security,label=Debian-Security"
)


def visitors(lab: LabUnderTest) -> Load:
    """Pages over HTTP/1.1: connections of HTTP/2 end with a reload, which these clients take for a failure."""
    kinds = (Kind.KEEP_ALIVE, Kind.NEW_CONNECTION)
    return Load(base_url=lab.url, clients=[(kind, reader(path)) for kind in kinds for path in ("/", "/api/products")])


def shown(lab: LabUnderTest, host: str, unit: str, *properties: str) -> list[str]:
    said = lab.run_on(host, "systemctl", "show", "--timestamp=unix", f"--property={','.join(properties)}", unit)
    found = dict(line.split("=", 1) for line in said.splitlines())
    return [found[name] for name in properties]


@pytest.mark.parametrize("host", HOSTS)
def test_upgrades_begin_once_a_host_serves_and_debians_own_do_not(lab: LabUnderTest, host: str) -> None:
    [ready] = shown(lab, host, "webstack-report.service", "ActiveEnterTimestampMonotonic")
    state, began = shown(lab, host, "webstack-upgrade.timer", "ActiveState", "ActiveEnterTimestampMonotonic")
    assert state == "active"
    assert int(began) >= int(ready) > 0
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"):
        assert shown(lab, host, unit, "ActiveState", "UnitFileState") == ["inactive", "disabled"]


def test_no_two_hosts_of_a_tier_have_the_same_hour(lab: LabUnderTest) -> None:
    hours = {
        host: lab.run_on(host, "systemctl", "show", "--value", "--property=TimersCalendar", "webstack-upgrade.timer") for host in HOSTS
    }
    at = {host: text.partition("OnCalendar=")[2].split(" ;")[0] for host, text in hours.items()}
    assert at == {
        "web-1": "*-*-* 03:00:00 UTC",
        "web-2": "*-*-* 04:00:00 UTC",
        "db-2": "*-*-* 03:00:00 UTC",
        "db-1": "*-*-* 04:00:00 UTC",
        "lb-1": "*-*-* 04:00:00 UTC",
    }


@pytest.mark.parametrize("host", ["web-1", "db-1"])
def test_unattended_upgrades_takes_debians_security_archive_alone(lab: LabUnderTest, host: str) -> None:
    said = lab.run_on(host, "sh", "-c", "unattended-upgrade --dry-run --debug 2>&1")
    assert ALLOWED in said
    assert "dpkg is configured not to cause conffile prompts" in said


def test_the_restart_that_nginxs_package_ends_an_upgrade_with_fails_no_request(lab: LabUnderTest) -> None:
    """Its script tries to hand over to the new program, which a unit in the foreground does not follow, and restarts it then."""
    with visitors(lab) as load:
        load.run_for(1)
        lab.run_on("web-1", "systemctl", "restart", "nginx.service")
        wait_until(lambda: "web-1" in {outcome.web_host for outcome in load.outcomes[-20:]}, seconds=30, what="web-1 answers again")
    assert [outcome for outcome in load.outcomes if not outcome.succeeded] == [], report(load.outcomes)


def test_a_host_that_needs_a_reboot_reboots_in_its_hour_and_the_site_serves(lab: LabUnderTest) -> None:
    def boot() -> str:
        return lab.run_on("db-2", "systemctl", "show", "--value", "--property=UserspaceTimestampMonotonic", check=False).strip()

    before = boot()
    lab.run_on("db-2", "touch", "/run/reboot-required")
    # What the user data says comes back with the boot.
    lab.run_on("db-2", "sed", "-i", 's/"reboot_day": "sunday"/"reboot_day": "daily"/', "/etc/webstack/host.json")
    with visitors(lab) as load:
        lab.run_on("db-2", "systemctl", "start", "--no-block", "webstack-upgrade.service")
        wait_until(lambda: boot() not in ("", before), seconds=60, what="db-2 has booted anew")
        wait_until(lambda: lab.hosts()["db-2"]["ready"], seconds=120, what="db-2 is ready again")
    assert [outcome for outcome in load.outcomes if not outcome.succeeded] == [], report(load.outcomes)
    said = lab.run_on("db-2", "journalctl", "--unit", "webstack-upgrade", "--no-pager")
    assert "all of this tier serve (db-1, db-2): rebooting" in said
    assert lab.run_on("db-2", "systemctl", "--failed", "--plain", "--no-legend").strip() == ""
