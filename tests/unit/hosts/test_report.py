"""The reporter of a host that serves: what it tells, when, and what it keeps to itself."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from webstack_host import aws, config, desired_config, imds, readiness, report, unit_failures
from webstack_host.configure import run_check
from webstack_host.readiness import CheckResult
from webstack_host.report import CHECK_INTERVAL, FAILED_AFTER, Reporter
from webstack_host.unit_exit import UnitExit
from webstack_host.unit_failures import FailingUnit

from .conftest import HOST, FakePrograms, returning

SERVES = CheckResult(ok=True, reason="serves the app", facts={"release": "1"})
AWAY = CheckResult(ok=False, reason="nginx.service does not run yet", units=("nginx.service",))


class Host:
    """A host's check, a clock that only waiting moves, and the record as the bucket has it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.found: Callable[[float], CheckResult] = returning(SERVES)
        self.deaf_until = -1.0
        self.configuration: dict[str, object] = {}
        self.told: list[tuple[float, str, str]] = []
        self.records: list[CheckResult] = []
        self.news: list[bool] = []
        self.looks = 0
        self.reporter = Reporter(self.look, self.tell, clock=lambda: self.now, jitter=returning(7.0))

    def look(self) -> CheckResult:
        self.looks += 1
        return self.found(self.now)

    def tell(self, state: str, found: CheckResult, news: bool) -> bool:
        if self.now < self.deaf_until:
            return False
        self.told.append((self.now, state, found.reason))
        self.records.append(found)
        self.news.append(news)
        return True

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += self.reporter.step()

    @property
    def states(self) -> list[str]:
        return [state for _, state, _ in self.told]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, programs: FakePrograms) -> Host:
    made = Host()
    monkeypatch.setattr(desired_config, "record_fields", lambda: dict(made.configuration))
    return made


def breaking(at: float, until: float = float("inf"), found: CheckResult = AWAY) -> Callable[[float], CheckResult]:
    return lambda now: found if at <= now < until else SERVES


def test_a_host_that_serves_says_so_about_once_a_minute(host: Host) -> None:
    host.run(3600)
    assert set(host.states) == {"ready"}
    moments = [moment for moment, _, _ in host.told]
    between = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert min(between) >= readiness.HEARTBEAT
    assert max(between) <= readiness.HEARTBEAT + readiness.JITTER + CHECK_INTERVAL
    assert host.news == [True, *[False] * (len(host.told) - 1)], "what was told before is no news"


def test_what_stops_serving_is_told_within_seconds_and_has_failed_when_it_lasts(host: Host, programs: FakePrograms) -> None:
    programs.answers["journalctl"] = (0, "bind() failed\n")
    host.found = breaking(100)
    host.run(200)
    unready, failed = ([one for one in host.told if one[1] == state] for state in ("unready", "failed"))
    assert 100 <= unready[0][0] <= 100 + CHECK_INTERVAL + report.RECHECK_INTERVAL
    assert unready[0][2] == AWAY.reason
    assert host.records[host.told.index(unready[0])].detail == ["bind() failed"], "the failing unit's last lines"
    assert 100 + FAILED_AFTER <= failed[0][0] <= 100 + FAILED_AFTER + CHECK_INTERVAL + report.RECHECK_INTERVAL + CHECK_INTERVAL
    again = [later[0] - earlier[0] for earlier, later in itertools.pairwise(failed)]
    assert again, "told again: whoever waits believes what is told while they wait"
    assert all(15 <= one <= 15 + CHECK_INTERVAL for one in again)


def test_what_serves_again_is_told_at_once(host: Host) -> None:
    host.found = breaking(100, until=170)
    host.run(300)
    back = next(moment for moment, state, _ in host.told if moment > 170 and state == "ready")
    assert back <= 170 + CHECK_INTERVAL
    host.found = breaking(400)
    host.run(120)
    assert next(state for moment, state, _ in host.told if moment >= 400 and state != "ready") == "unready", "counted anew"


def test_one_late_answer_is_no_news(host: Host) -> None:
    host.found = breaking(100, until=100 + CHECK_INTERVAL)
    calls = iter([SERVES, AWAY, *[SERVES] * 1000])
    host.found = lambda _: next(calls)
    host.run(300)
    assert set(host.states) == {"ready"}


@pytest.mark.parametrize(
    ("change", "news"),
    [({"reason": "primary, degraded"}, True), ({"facts": {"release": "2"}}, True), ({"metrics": {"lag": "0.4 s"}}, False)],
    ids=["reason", "facts", "metrics"],
)
def test_reason_and_facts_are_told_when_they_change_and_measures_with_the_next(host: Host, change: dict[str, Any], news: bool) -> None:
    host.run(10)
    host.found = returning(replace(SERVES, **change))
    host.run(CHECK_INTERVAL)
    assert len(host.told) == (2 if news else 1)
    host.run(70)
    assert {name: getattr(host.records[-1], name) for name in change} == change


def test_a_configuration_that_came_into_force_is_told_at_the_next_look(host: Host) -> None:
    host.run(10)
    host.configuration = {"configuration_sha256": "1" * 64}
    host.run(CHECK_INTERVAL)
    assert host.news == [True, True]


def test_what_could_not_be_told_is_told_as_soon_as_it_can_be(host: Host) -> None:
    host.found, host.deaf_until = breaking(100), 120
    host.run(160)
    assert next(moment for moment, state, _ in host.told if state == "unready") <= 120 + CHECK_INTERVAL
    host.deaf_until = 100000
    looks = host.looks
    host.run(600)
    assert host.looks - looks < 60, "an API that is away is not asked at every turn"


def test_what_mends_by_itself_has_not_failed_however_long_it_takes(host: Host) -> None:
    host.found = breaking(100, found=CheckResult(ok=False, reason="cloning", recovering=True))
    host.run(3600)
    assert set(host.states) == {"ready", "unready"}


def test_a_check_that_raises_found_nothing_that_serves() -> None:
    class Broken:
        metadata_users: tuple[str, ...] = ()

        def configure(self) -> None: ...

        def check(self) -> CheckResult:
            raise OSError("no socket")

    assert run_check(Broken) == CheckResult(ok=False, reason="cannot be checked: no socket")


def test_a_host_whose_api_does_not_answer_is_told_by_what_is_seen_here(host: Host) -> None:
    host.found = returning(replace(SERVES, unverified="the Elastic IP cannot be asked for: throttled"))
    host.run(600)
    assert set(host.states) == {"ready"}


def test_the_record_says_how_often_it_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    put: dict[str, bytes] = {}
    monkeypatch.setattr(config, "load_common", returning(HOST))
    monkeypatch.setattr(imds, "instance_id", returning("i-1"))
    monkeypatch.setattr(imds, "user_data", returning(b""))
    monkeypatch.setattr(aws, "user_id", returning("AROA:i-1"))
    monkeypatch.setattr(aws, "put_object", put.__setitem__)
    assert report.publish("ready", replace(SERVES, metrics={"lag": "0.4 s"}), True)
    record = json.loads(put["hosts/AROA:i-1.json"])
    assert record["heartbeat_seconds"] == readiness.HEARTBEAT + readiness.JITTER
    assert record["metrics"] == {"lag": "0.4 s"}
    monkeypatch.setattr(aws, "put_object", _refused)
    assert not report.publish("ready", SERVES, False)


def _refused(*_: object) -> None:
    raise ConnectionError("SlowDown")


def test_a_unit_that_fails_again_and_again_is_the_reason_and_units_are_looked_at_rarely_while_all_is_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[float] = []
    now = [0.0]
    unit = FailingUnit(
        unit="webstack-app.service",
        failures=3,
        last_exit=UnitExit(description="exit code 1", cause="ImportError", lines=["ImportError"]),
        start_timeout="",
    )

    def failing_unit(_: object) -> FailingUnit:
        looks.append(now[0])
        return unit

    monkeypatch.setattr(report, "failing_unit", failing_unit)
    monkeypatch.setattr(unit_failures, "reset_restart_counts", returning(None))
    units = report.UnitMonitor(lambda: now[0])
    for second in range(0, 600, 5):
        now[0] = float(second)
        assert units.explain_failure(SERVES) == SERVES
    assert len(looks) == 10
    found = units.explain_failure(AWAY)
    assert (found.ok, found.facts["failing"]) == (False, "webstack-app.service")
