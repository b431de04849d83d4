"""The ends of the pinned keys: the table says what the keys say, and previews say it in time."""

import os
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stack import configuration, key_expiry
from stack.configuration import validate
from stack.deployed import DeployedStack
from stack.key_expiry import WARNING_DAYS, key_expiry_problems
from stack.problems import ConfigurationError, Problem
from stack.settings import parse
from tests.unit.monitor import StrictMonitor, run
from userdata.render import ROOT
from userdata.signing_keys import MYSQL, SESSION_MANAGER, SIGNING_KEYS, SigningKey

ZONES = ("eu-central-1a", "eu-central-1b")
BOTH = frozenset({"db-1", "db-2"})


@pytest.mark.programs
@pytest.mark.parametrize("key", SIGNING_KEYS, ids=lambda key: key.path.stem)
def test_fingerprint_and_end_are_those_of_the_key_itself(key: SigningKey, tmp_path: Path) -> None:
    shown = subprocess.run(
        ["gpg", "--show-keys", "--with-colons", str(key.path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "GNUPGHOME": str(tmp_path)},
    ).stdout
    lines = [line.split(":") for line in shown.splitlines()]
    [ends] = [fields[6] for fields in lines if fields[0] == "pub"]
    assert next(fields[9] for fields in lines if fields[0] == "fpr") == key.fingerprint
    assert datetime.fromtimestamp(int(ends), UTC).date() == key.expires


def test_every_key_that_hosts_bring_along_is_in_the_table() -> None:
    assert sorted(ROOT.glob("*/**/*.asc")) == sorted(key.path for key in SIGNING_KEYS)


def run_check(
    monkeypatch: pytest.MonkeyPatch, today: date, there: frozenset[str] = BOTH, **settings: Any
) -> tuple[list[Problem], list[str]]:
    """The problems and the warnings of a day."""
    warnings: list[str] = []
    monkeypatch.setattr(key_expiry.pulumi.log, "warn", warnings.append)
    return list(key_expiry_problems(parse(settings), there, today)), warnings


def test_nothing_is_said_of_a_key_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    day = min(key.expires for key in SIGNING_KEYS) - timedelta(days=WARNING_DAYS + 1)
    assert run_check(monkeypatch, day, frozenset()) == ([], [])


@pytest.mark.parametrize("there", [BOTH, frozenset[str]()], ids=["hosts-are-there", "a-new-stack"])
def test_a_key_that_ends_is_warned_of_half_a_year_before_and_on_its_last_day(
    monkeypatch: pytest.MonkeyPatch, there: frozenset[str]
) -> None:
    for days in (WARNING_DAYS, 0):
        problems, warnings = run_check(monkeypatch, MYSQL.expires - timedelta(days=days), there)
        assert problems == []
        assert f"the key for MySQL's packages ends on 2027-10-23, in {days} days" in warnings[0]
        assert "into userdata/database/usr/local/share/webstack/mysql.asc and its end into userdata/signing_keys.py" in warnings[0]


def test_once_mysqls_has_ended_no_database_host_is_made_and_those_that_are_there_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    day = MYSQL.expires + timedelta(days=1)
    problems, warnings = run_check(monkeypatch, day)
    assert problems == []
    assert "the key for MySQL's packages ended on 2027-10-23" in warnings[0]
    [problem], _ = run_check(monkeypatch, day, frozenset({"db-1"}))
    assert problem.key == "userdata/database/usr/local/share/webstack/mysql.asc"
    assert problem.rule.endswith("ended on 2027-10-23, and db-2 could not install MySQL")
    assert run_check(monkeypatch, day, frozenset({"db-1"}), database={"replica": False})[0] == []
    [problem], _ = run_check(monkeypatch, day, frozenset())
    assert "db-1 and db-2 could not" in problem.rule


def test_a_configuration_is_judged_by_the_day_and_by_the_hosts_that_the_last_run_put_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_expiry.pulumi.log, "warn", list[str]().append)

    def found(today: date, hosts: frozenset[str]) -> list[str]:
        try:
            validate(
                stack="dev", raw={}, region="eu-central-1", zones=lambda: ZONES, deployed=lambda: DeployedStack(hosts=hosts), today=today
            )
        except ConfigurationError as error:
            return [problem.key for problem in error.problems]
        return []

    after = MYSQL.expires + timedelta(days=1)
    assert found(MYSQL.expires, frozenset()) == []
    assert found(after, BOTH) == []
    assert found(after, frozenset()) == ["userdata/database/usr/local/share/webstack/mysql.asc"]


def test_the_hosts_of_the_last_run_are_those_of_its_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def seen(_settings: object, there: object, today: object) -> list[Problem]:
        assert isinstance(today, date)
        asked.append(there)
        return []

    def seen_nothing(*_: object) -> list[Problem]:
        return []

    monkeypatch.setattr(configuration, "key_expiry_problems", seen)
    monkeypatch.setattr(configuration, "preflight_problems", seen_nothing)

    def body() -> None:
        configuration.load()

    earlier = {"stack_id": "x7k2abcd", "instance_ids": {"db-1": "i-1", "web-1": "i-2"}}
    run(body, config={"aws:region": "eu-central-1"}, monitor=StrictMonitor(preview=True, previous_outputs=earlier))
    run(body, config={"aws:region": "eu-central-1"}, monitor=StrictMonitor(preview=True))
    assert asked == [frozenset({"db-1", "web-1"}), frozenset()]


def test_the_agents_key_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problems, warnings = run_check(monkeypatch, SESSION_MANAGER.expires + timedelta(days=1))
    assert problems == []
    assert any("the key for Session Manager's agent ended on 2027-11-25" in warning for warning in warnings)
