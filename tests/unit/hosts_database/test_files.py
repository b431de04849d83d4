"""The files of a database host, held against the programs that use them."""

import configparser
from pathlib import Path

import jinja2
import pytest
from database_role import datadir, paths

from tests import mysql_settings

TREE = Path(__file__).parents[3] / "userdata/database"
UNITS = TREE / "etc/systemd/system"
SERVICES = sorted(unit.name for unit in UNITS.glob("*.service") if unit.name != "webstack-data-volume.service")
"""All but the one that looks after the volume, with MySQL or without."""
VARIABLES = {"server_id": 2, "dns_name": "db-2.dev.webstack.internal", "buffer_pool_mb": 512}


def unit(name: str) -> configparser.ConfigParser:
    """A unit file; of a key that stands twice the last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string((UNITS / name).read_text())
    return parser


def configuration() -> list[tuple[str, str]]:
    """The options of the rendered my.cnf, in order."""
    template = TREE / f"{str(paths.CONFIGURATION).lstrip('/')}.j2"
    text = (
        jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=jinja2.select_autoescape())
        .from_string(template.read_text())
        .render(VARIABLES)
    )
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "[mysqld]"
    return [(name, value) for name, _, value in (line.partition("=") for line in lines[1:])]


def test_the_target_wants_every_service_of_the_role_and_no_other() -> None:
    assert unit("webstack.target.d/database.conf")["Unit"]["Wants"].split() == [
        "webstack-firewall.service",
        "mysql.service",
        "webstack-database-agent.service",
        "webstack-database-check.service",
        "webstack-database-accounts.service",
        "webstack-data-volume.timer",
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_starts_before_this_boot_has_prepared_it_nor_by_itself(service: str) -> None:
    found = unit(service)
    assert found["Unit"]["ConditionPathExists"] == str(paths.PREPARED)
    assert "Install" not in found


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "mysql.service"])
def test_what_uses_mysql_stops_before_it(service: str) -> None:
    assert "mysql.service" in unit(service)["Unit"]["After"].split()


def test_mysqld_reads_one_file_and_is_prepared_for_its_stop() -> None:
    service = unit("mysql.service")["Service"]
    assert service["ExecStart"] == f"/usr/sbin/mysqld --defaults-file={paths.CONFIGURATION}"
    assert service["ExecStop"] == "+/usr/local/sbin/webstack-database stop"
    assert service["ExecStartPre"] == f"+/bin/rm -f {paths.STOPPING}"
    assert service["Environment"] == "MYSQLD_PARENT_PID=1"
    assert service["Restart"] == "on-failure"
    assert int(service["TimeoutStopSec"]) > 60


def test_the_agent_may_write_just_where_it_must() -> None:
    service = unit("webstack-database-agent.service")["Service"]
    assert service["User"] == paths.AGENT_USER
    assert service["ProtectSystem"] == "strict"
    assert set(service["ReadWritePaths"].split()) == {str(paths.RUN_FOLDER), str(paths.TRUST_FOLDER), str(paths.RECORD_FOLDER)}
    check = unit("webstack-database-check.service")["Service"]
    assert check["User"] == paths.CHECK_USER
    assert "ReadWritePaths" not in check


def test_both_system_users_are_declared() -> None:
    declared = (TREE / "etc/sysusers.d/webstack-database.conf").read_text()
    assert f"\nu {paths.AGENT_USER} " in declared
    assert f"\nu {paths.CHECK_USER} " in declared


def test_the_configuration_starts_every_server_read_only_alone_and_without_semi_sync() -> None:
    found = dict(configuration())
    assert found["super_read_only"] == "ON"
    assert found["skip_replica_start"] == "ON"
    assert found["relay_log_recovery"] == "OFF", "a start may not throw away what was acknowledged"
    assert found["loose_rpl_semi_sync_source_enabled"] == "OFF", "ON hangs a replica"
    assert found["loose_rpl_semi_sync_source_timeout"] == "4294967295"
    assert found["loose_rpl_semi_sync_source_wait_point"] == "AFTER_SYNC"
    assert found["loose_rpl_semi_sync_source_wait_no_replica"] == "ON"


def test_the_configuration_is_the_table_and_nothing_else() -> None:
    wanted = {f"loose_{name}" if name in mysql_settings.PLUGIN_OPTIONS else name: value for name, value in mysql_settings.FULL_FILE.items()}
    assert {name: value for name, value in configuration() if name not in mysql_settings.PER_HOST} == wanted


def test_the_configuration_names_the_paths_that_the_role_makes() -> None:
    found = dict(configuration())
    assert (found["datadir"], found["socket"]) == (str(paths.DATA_DIRECTORY), str(paths.SOCKET))
    assert (found["ssl_key"], found["ssl_cert"]) == (str(paths.TLS_KEY), str(paths.TLS_CERTIFICATE))
    assert (found["ssl_ca"], found["loose_clone_ssl_ca"]) == (str(paths.TRUSTED_CERTIFICATES), str(paths.TRUSTED_CERTIFICATES))
    assert found["require_secure_transport"] == "ON"
    assert "log_error" not in found, "the log goes to the journal"


def test_a_hosts_own_values_are_in_its_configuration() -> None:
    found = dict(configuration())
    assert (found["server_id"], found["report_host"]) == ("2", "db-2.dev.webstack.internal")
    assert (found["innodb_buffer_pool_size"], found["innodb_redo_log_capacity"]) == ("512M", "512M")


def test_options_of_plugins_are_loose_because_initialising_loads_none() -> None:
    options = [name for name, _ in configuration()]
    assert [name for name in options if name.startswith(("rpl_semi_sync", "clone_"))] == []
    assert [value for name, value in configuration() if name == "plugin_load_add"] == [
        "semisync_source.so",
        "semisync_replica.so",
        "mysql_clone.so",
    ]


def test_local_accounts_have_no_password_and_leave_no_transaction() -> None:
    statements = datadir.LOCAL_ACCOUNTS.split(";\n")
    assert statements[0] == "SET sql_log_bin=0", "or each server begins with a transaction that no other has"
    made = [statement for statement in statements if "IDENTIFIED" in statement]
    assert len(made) == 3
    assert all(statement.endswith("IDENTIFIED WITH auth_socket") for statement in made)
