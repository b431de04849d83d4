"""One run of the configuration: what is tried again, what has failed, and what is told of it."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from webstack_host import backoff, config, configure, readiness, reconfigure, services
from webstack_host.errors import PermanentError
from webstack_host.readiness import CheckResult

from .conftest import HOST, FakePrograms, returning
from .fake_role import SERVES, Clock, FakeRole, Told


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: FakePrograms) -> Told:
    clock = Clock()
    monkeypatch.setattr(configure, "time", clock)
    monkeypatch.setattr(configure, "PACKAGE_POLICY", tmp_path / "policy-rc.d")
    return Told(clock)


def serve(told: Told, role: FakeRole, **changes: Any) -> None:
    configure.run_until_ready(replace(HOST, **changes), lambda: role, publish=told.say)


def test_a_host_tells_each_new_reason_once_and_then_that_it_is_ready(told: Told, programs: FakePrograms) -> None:
    role = FakeRole(CheckResult(ok=False, reason="no"), CheckResult(ok=False, reason="no"), CheckResult(ok=False, reason="almost"), SERVES)
    serve(told, role)
    assert told == [("starting", "being configured"), ("starting", "no"), ("starting", "almost"), ("ready", "serves")]
    assert role.configured == 1
    assert ["systemctl", "start", "--no-block", "webstack.target"] in programs.calls


def test_what_waiting_mends_is_tried_again_with_growing_pauses_and_told_once(told: Told) -> None:
    role = FakeRole(SERVES, attempts=[*[OSError("no route")] * 9, RuntimeError("AccessDenied\nmore"), None])
    serve(told, role)
    assert told == [
        ("starting", "being configured"),
        ("starting", "not configured: no route"),
        ("starting", "not configured: AccessDenied"),
        ("ready", "serves"),
    ]
    assert role.configured == 11
    assert told.details[2] == ["more"]
    pauses_taken = list(itertools.islice(backoff.exponential(), 10))
    assert pauses_taken == sorted(pauses_taken)
    assert (pauses_taken[0], pauses_taken[-1]) == (backoff.INITIAL, backoff.MAXIMUM)
    assert told.times[-1] == pytest.approx(sum(pauses_taken))


def test_nothing_is_started_before_the_configuration_has_succeeded(told: Told, programs: FakePrograms, tmp_path: Path) -> None:
    def started() -> bool:
        return any(call[:2] == ["systemctl", "start"] for call in programs.calls)

    class Watching(FakeRole):
        def configure(self) -> None:
            assert not started()
            super().configure()

    serve(told, Watching(SERVES, attempts=[OSError("no route"), None]))
    assert started()


def test_the_policy_that_keeps_packages_from_starting_services_ends_with_the_configuration(told: Told, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")

    class Installing(FakeRole):
        def configure(self) -> None:
            assert policy.exists(), "the role's packages are installed here"

    serve(told, Installing(SERVES))
    assert not policy.exists(), "it would keep every later upgrade from restarting what it upgraded"


def test_a_host_that_does_not_serve_in_time_has_failed_and_goes_on_until_it_serves(told: Told) -> None:
    waiting = CheckResult(ok=False, reason="no database")
    serve(told, FakeRole(*[waiting] * 90, SERVES), readiness_timeout=3)
    assert told[1:3] == [("starting", "no database"), ("failed", "no database")]
    assert told[-1] == ("ready", "serves")
    repeated = told.times[2:-1]
    assert len(repeated) > 2
    assert all(later - earlier >= configure.REPUBLISH_INTERVAL for earlier, later in itertools.pairwise(repeated)), (
        "told again, and not at each look"
    )


def test_what_somebody_has_to_mend_is_told_as_failed_at_once_and_looked_at_further(told: Told) -> None:
    stopped = CheckResult(ok=False, reason="the applier stopped: error 1032", permanent=True)
    serve(told, FakeRole(CheckResult(ok=False, reason="not replicating yet"), stopped, SERVES))
    assert told[1:] == [("starting", "not replicating yet"), ("failed", "the applier stopped: error 1032"), ("ready", "serves")]


def test_an_app_that_refuses_for_a_minute_has_failed_and_one_that_says_something_else_meanwhile_has_not(told: Told) -> None:
    refused, away = (
        CheckResult(ok=False, reason="the app answers 400", refused=True),
        CheckResult(ok=False, reason="the app gives no answer"),
    )
    serve(told, FakeRole(*[refused, away] * 120, SERVES))
    assert told.times[-1] > 2 * configure.REFUSAL_GRACE
    assert ("failed", "the app answers 400") not in told
    serve(told, FakeRole(*[refused] * 120, SERVES))
    at_last = told.index(("failed", "the app answers 400"))
    began = max(number for number, one in enumerate(told) if number < at_last and one == ("starting", "the app answers 400"))
    assert told.times[at_last] - told.times[began] >= configure.REFUSAL_GRACE
    assert told[-1] == ("ready", "serves")


def test_what_no_waiting_mends_has_failed_at_once_and_may_be_put_right_by_somebody(told: Told) -> None:
    serve(told, FakeRole(SERVES, attempts=[PermanentError("nginx -t: exit code 1\nunknown directive"), None]))
    assert told == [("starting", "being configured"), ("failed", "not configured: nginx -t: exit code 1"), ("ready", "serves")]


def test_a_role_whose_packages_are_not_there_yet_is_looked_for_again(told: Told) -> None:
    roles = iter([ModuleNotFoundError("No module named 'pymysql'"), FakeRole(SERVES)])
    role = FakeRole(SERVES)

    def find() -> FakeRole:
        found = next(roles, role)
        if isinstance(found, Exception):
            raise found
        return found

    configure.run_until_ready(HOST, find, publish=told.say)
    assert told[-1] == ("ready", "serves")


def test_a_check_that_raises_found_nothing_that_serves(told: Told) -> None:
    serve(told, FakeRole(OSError("systemctl is not there"), SERVES))
    assert told[1:] == [("starting", "cannot be checked: systemctl is not there"), ("ready", "serves")]


def test_a_boot_needs_the_whole_answer_once(told: Told) -> None:
    serve(told, FakeRole(CheckResult(ok=True, reason="serves", unverified="the Elastic IP cannot be asked for"), SERVES))
    assert told[1:] == [("starting", "the Elastic IP cannot be asked for"), ("ready", "serves")]


def test_one_writer_at_a_time_tells_of_a_host(monkeypatch: pytest.MonkeyPatch, programs: FakePrograms) -> None:
    order: list[str] = []

    def serving(*_: object, **__: object) -> None:
        order.append(" ".join(programs.calls[-1]))

    monkeypatch.setattr(config, "load_common", returning(HOST))
    monkeypatch.setattr(configure, "run_until_ready", serving)
    assert configure.main() == 0
    assert order == ["systemctl stop webstack-report.service"]
    assert ["systemctl", "start", "--no-block", "webstack-report.service"] in programs.calls


@pytest.mark.parametrize("upgrades_at", ["*-*-* 23:05 UTC", ""])
def test_upgrades_come_at_the_hosts_own_time_and_not_before_it_serves(
    monkeypatch: pytest.MonkeyPatch, programs: FakePrograms, tmp_path: Path, upgrades_at: str
) -> None:
    written: list[tuple[int, Path, str]] = []
    before: list[list[str]] = []

    def write(path: Path, content: str) -> None:
        written.append((len(programs.calls), path, content))

    loaded = replace(HOST, upgrades_at=upgrades_at)

    def serving(*_: object, **__: object) -> None:
        assert configure.try_configure(loaded, lambda: FakeRole(SERVES), reconfigure.BootConfiguration(loaded)) is None
        before.extend(programs.calls)

    monkeypatch.setattr(services.files, "write", write)
    monkeypatch.setattr(configure, "PACKAGE_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(config, "load_common", returning(loaded))
    monkeypatch.setattr(configure, "run_until_ready", serving)
    assert configure.main() == 0
    start = ["systemctl", "start", "webstack-upgrade.timer"]
    assert start not in before
    assert before.count(["systemctl", "daemon-reload"]) == 1 == programs.calls.count(["systemctl", "daemon-reload"])
    if upgrades_at:
        [(at, path, content)] = written
        assert at <= before.index(["systemctl", "daemon-reload"])
        assert (path, content) == (services.UPGRADE_DROP_IN, "[Timer]\nOnCalendar=\nOnCalendar=*-*-* 23:05 UTC\n")
        assert programs.calls[-1] == start
    else:
        assert start not in programs.calls
        assert written == []


def test_debians_own_upgrades_which_all_hosts_have_at_once_are_taken_out_of_the_boot(
    monkeypatch: pytest.MonkeyPatch, programs: FakePrograms, tmp_path: Path
) -> None:
    for unit in ("timers.target.wants/apt-daily.timer", "timers.target.wants/apt-daily-upgrade.timer"):
        (tmp_path / unit).parent.mkdir(exist_ok=True)
        (tmp_path / unit).symlink_to("/usr/lib/systemd/system/" + Path(unit).name)
    monkeypatch.setattr(services, "UNITS", tmp_path)
    monkeypatch.setattr(configure, "PACKAGE_POLICY", tmp_path / "policy-rc.d")
    role, loaded = FakeRole(SERVES), HOST
    assert configure.try_configure(loaded, lambda: role, reconfigure.BootConfiguration(loaded)) is None
    at = programs.calls.index(["systemctl", "disable", "--now", "apt-daily.timer", "apt-daily-upgrade.timer"])
    assert at < programs.calls.index(["systemctl", "start", "--no-block", "webstack.target"])


@pytest.mark.parametrize("deaf", [1, 40])
def test_ready_is_told_until_it_was_heard(told: Told, deaf: int) -> None:
    class Deafening(FakeRole):
        def check(self) -> CheckResult:
            told.deaf = deaf
            return super().check()

    serve(told, Deafening(SERVES))
    assert told == [("starting", "being configured"), ("ready", "serves")]


def test_progress_that_was_not_heard_is_told_at_the_next_look(told: Told) -> None:
    told.deaf = 2
    serve(
        told, FakeRole(CheckResult(ok=False, reason="no"), CheckResult(ok=False, reason="no"), CheckResult(ok=False, reason="no"), SERVES)
    )
    assert told == [("starting", "no"), ("ready", "serves")]


def test_announcing_says_whether_it_was_published(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Exception | None] = [OSError("no route"), None]

    def publish(*_: object, **__: object) -> None:
        if (error := outcomes.pop(0)) is not None:
            raise error

    monkeypatch.setattr(readiness, "publish", publish)
    assert [configure.publish_state("ready", SERVES), configure.publish_state("ready", SERVES)] == [False, True]


def test_the_logs_that_explain_a_reason_are_read_when_it_is_told_and_not_at_every_look(told: Told, programs: FakePrograms) -> None:
    programs.answers["journalctl"] = (0, "last words\n")
    waiting = CheckResult(ok=False, reason="no", detail=["own line"], units=("nginx.service",))
    serve(told, FakeRole(waiting, waiting, waiting, SERVES))
    assert told.details == [[], ["own line", "last words"], []]
    assert [call[0] for call in programs.calls].count("journalctl") == 1
