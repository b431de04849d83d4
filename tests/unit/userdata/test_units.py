"""The hosts' units: none of them is given up by systemd while waiting may still mend what is wrong."""

from pathlib import Path

import pytest

from userdata.render import ROOT

Unit = dict[str, list[tuple[str, str]]]

RESTART_POLICIES = {
    # Always: what has ended does not serve.
    "haproxy.service": "always",
    "keepalived.service": "always",
    "nginx.service": "always",
    "webstack-app.service": "always",
    "webstack-database-agent.service": "always",
    "webstack-database-check.service": "always",
    "webstack-database-proxy.service": "always",
    "webstack-elastic-ip.service": "always",
    "webstack-database-accounts.service": "always",
    "webstack-reconfigure.service": "always",
    "webstack-report.service": "always",
    "webstack-secrets.service": "always",
    # Until it has succeeded: it is done then, or was stopped on purpose.
    "mysql.service": "on-failure",
    "webstack-await-primary.service": "on-failure",
    "webstack-migrate.service": "on-failure",
    "webstack-firewall.service": "on-failure",
}
REPEATED_BY_TIMER = {"webstack-data-volume.service", "webstack-database-ca.service", "webstack-session-manager.service"}
DAILY = {"webstack-upgrade.service"}
"""At an hour of the host's own."""
NEVER_FAILS = {"webstack-drain.service"}
"""Its start removes a file that need not be there."""


def units() -> dict[str, Unit]:
    """Name of a service -> its settings by section, in our own unit or in our drop-in to a package's."""
    found: dict[str, Unit] = {}
    for path in sorted(ROOT.glob("*/etc/systemd/system/*.service")) + sorted(ROOT.glob("*/etc/systemd/system/*.service.d/*.conf")):
        name = path.name if path.suffix == ".service" else path.parent.name.removesuffix(".d")
        assert name not in found, f"{name} stands twice"
        found[name] = parse_unit(path)
    return found


def parse_unit(path: Path) -> Unit:
    """The settings of a unit file, by section, in their order."""
    sections: Unit = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            sections[section] = []
        elif line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            sections[section].append((key, value))
    return sections


def setting(unit: Unit, section: str, key: str) -> str | None:
    """The last word on one setting."""
    return dict(unit.get(section, [])).get(key)


def test_the_table_holds_every_service_of_the_hosts() -> None:
    assert set(units()) == set(RESTART_POLICIES) | REPEATED_BY_TIMER | DAILY | NEVER_FAILS


@pytest.mark.parametrize("name", sorted(units()))
def test_a_service_may_be_started_as_often_as_it_takes(name: str) -> None:
    """By default systemd gives a unit up after five starts within ten seconds: systemd-system.conf(5), DefaultStartLimitBurst=."""
    assert setting(units()[name], "Unit", "StartLimitIntervalSec") == "0"
    assert setting(units()[name], "Service", "StartLimitIntervalSec") is None, "systemd reads it in [Unit] alone"


@pytest.mark.parametrize(("name", "policy"), RESTART_POLICIES.items())
def test_a_service_that_failed_is_started_again_soon(name: str, policy: str) -> None:
    unit = units()[name]
    assert setting(unit, "Service", "Restart") == policy
    assert setting(unit, "Service", "RestartSec") in ("1", "500ms", "100ms")


@pytest.mark.parametrize("name", sorted(REPEATED_BY_TIMER))
def test_what_is_done_from_time_to_time_is_repeated_whether_it_succeeded_or_not(name: str) -> None:
    [timer] = ROOT.glob(f"*/etc/systemd/system/{Path(name).stem}.timer")
    assert setting(parse_unit(timer), "Timer", "OnUnitInactiveSec"), "counted from its end, also from a failed one"
    assert setting(units()[name], "Service", "Type") == "oneshot"


def test_the_app_waits_for_its_migration_and_does_not_fail_with_it() -> None:
    """RestartMode=direct: the unit does not become failed between two attempts, which would fail the jobs of those that require it."""
    found = units()
    assert setting(found["webstack-app.service"], "Unit", "Requires") == "webstack-migrate.service"
    assert setting(found["webstack-migrate.service"], "Service", "RestartMode") == "direct"


def test_the_migration_waits_for_the_primary_before_each_attempt_and_does_not_fail_with_the_wait() -> None:
    """A unit that is required is started again with each attempt, where it has ended; what waits has no limit of its own."""
    found = units()
    migrates, awaits = found["webstack-migrate.service"], found["webstack-await-primary.service"]
    assert setting(migrates, "Unit", "Requires") == "webstack-await-primary.service"
    assert "webstack-await-primary.service" in str(setting(migrates, "Unit", "After")).split()
    assert setting(awaits, "Service", "RemainAfterExit") is None
    assert setting(awaits, "Service", "TimeoutStartSec") == "infinity"
    assert setting(awaits, "Service", "RestartMode") == "direct"


@pytest.mark.parametrize(("role", "guarded"), [("load_balancer", "haproxy.service"), ("database", "mysql.service")])
def test_the_firewall_comes_before_what_it_guards_and_is_looked_after(role: str, guarded: str) -> None:
    """What the target wants is looked at by `unit_failures`. Not required: a site without its limits is better than none, and says so."""
    wanted = parse_unit(ROOT / role / f"etc/systemd/system/webstack.target.d/{role}.conf")
    assert "webstack-firewall.service" in str(setting(wanted, "Unit", "Wants")).split()
    unit = units()[guarded]
    assert "webstack-firewall.service" in " ".join(value for key, value in unit["Unit"] if key == "After").split()
    assert (ROOT / role / "etc/webstack/firewall.nft").exists()


@pytest.mark.parametrize("name", sorted(units()))
def test_no_service_hides_that_its_work_failed(name: str) -> None:
    """`-` before a command counts its failure as success: systemd.service(5)."""
    assert [value for key, value in units()[name]["Service"] if key == "ExecStart" and value.lstrip("@:+!|").startswith("-")] == []
