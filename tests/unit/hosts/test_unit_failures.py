"""Units that fail again and again: how often, how, what they said last, and when a host has failed of it. The journal's texts are real."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from webstack_host import configure, services, unit_exit, unit_failures
from webstack_host.readiness import CheckResult

from .conftest import HOST, ROOT, FakePrograms
from .fake_role import SERVES, Clock, FakeRole, Told

UNIT = "webstack-migrate.service"


def own(text: str, run: str = "1") -> list[dict[str, Any]]:
    """A program's lines. journald gives those of every later run the first one's id where RestartMode is direct."""
    return [{"MESSAGE": line, "_SYSTEMD_INVOCATION_ID": run} for line in text.splitlines()]


def from_systemd(message: str, run: str, message_id: str, **more: str) -> dict[str, Any]:
    return {"MESSAGE": message, "MESSAGE_ID": message_id, "UNIT": UNIT, "INVOCATION_ID": run, **more}


def starting(run: str) -> dict[str, Any]:
    return from_systemd(f"Starting {UNIT} - Brings the database to the schema", run, "7d4958e842da4a758f6c1cdc7b36dcc5")


def ending(run: str, *, result: str = "exit-code", code: str = "exited", status: str = "1") -> list[dict[str, Any]]:
    return [
        from_systemd(f"{UNIT}: Main process exited", run, unit_exit.EXITED_MESSAGE_ID, EXIT_CODE=code, EXIT_STATUS=status),
        from_systemd(f"{UNIT}: Failed with result '{result}'.", run, unit_exit.FAILED_MESSAGE_ID, UNIT_RESULT=result),
        from_systemd(f"{UNIT}: Scheduled restart job, restart counter is at 1.", run, "5eb03494b6584870a536b337290809b3"),
    ]


def journal(programs: FakePrograms, *entries: dict[str, Any] | Sequence[dict[str, Any]]) -> None:
    flat = [one for entry in entries for one in ([entry] if isinstance(entry, dict) else entry)]
    programs.answers["journalctl"] = (0, "\n".join(json.dumps(entry) for entry in flat))


MISSING = """\
Traceback (most recent call last):
  File "/opt/app/releases/fe67/app/migrate.py", line 9, in <module>
    import nosuchmodule
ModuleNotFoundError: No module named 'nosuchmodule'"""

GUNICORN = """\
[2026-11-27 23:40:51 +0000] [7] [INFO] Starting gunicorn 23.0.0
[2026-11-27 23:40:51 +0000] [9] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/opt/app/current/venv/lib/python3.13/site-packages/gunicorn/arbiter.py", line 608, in spawn_worker
    worker.init_process()
    ~~~~~~~~~~~~~~~~~~~^^
  File "/opt/app/current/venv/lib/python3.13/site-packages/gunicorn/util.py", line 370, in import_app
    mod = importlib.import_module(module)
  File "/usr/lib/python3.13/importlib/__init__.py", line 88, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
           ~~~~~~~~~~~~~~~~~~~~~~^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "<frozen importlib._bootstrap>", line 1387, in _gcd_import
  File "<frozen importlib._bootstrap_external>", line 1026, in exec_module
  File "/opt/app/releases/fe67/app/wsgi.py", line 1, in <module>
    raise RuntimeError("this release does not start")
RuntimeError: this release does not start
[2026-11-27 23:40:51 +0000] [9] [INFO] Worker exiting (pid: 9)
[2026-11-27 23:40:51 +0000] [7] [ERROR] Shutting down: Master
[2026-11-27 23:40:51 +0000] [7] [ERROR] Reason: Worker failed to boot."""

CHAINED = """\
Traceback (most recent call last):
  File "/a.py", line 1, in f
    g()
ConnectionRefusedError: [Errno 111] Connection refused

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/b.py", line 2, in <module>
    f()
sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (2003, "Can't connect")
(Background on this error at: https://sqlalche.me/e/20/e3q8)"""


def test_the_last_words_are_the_programs_own_and_those_of_the_run_that_ended_last(programs: FakePrograms) -> None:
    journal(
        programs, starting("1"), own("an older word"), ending("1"), starting("2"), own(MISSING), ending("2"), starting("3"), own("begun")
    )
    end = unit_exit.last_exit(UNIT)
    assert (end.result, end.description, end.cause) == ("exit-code", "exit code 1", "ModuleNotFoundError: No module named 'nosuchmodule'")
    assert end.lines == MISSING.splitlines()[1:]


def test_the_error_stands_out_of_what_a_server_says_after_it_and_the_frame_that_names_the_file_is_kept() -> None:
    lines = GUNICORN.splitlines()
    assert unit_exit.cause(lines) == "RuntimeError: this release does not start"
    told = unit_exit.summarize_log(lines)
    assert '  File "/opt/app/releases/fe67/app/wsgi.py", line 1, in <module>' in told
    assert "RuntimeError: this release does not start" in told
    assert not [line for line in told if "<frozen" in line or "~~" in line]
    assert len(told) == 2 + 2 * unit_exit.MAX_FRAMES + 4


def test_of_exceptions_that_follow_from_each_other_each_error_is_told_and_the_last_is_the_cause() -> None:
    lines = [line for line in CHAINED.splitlines() if line.strip()]
    assert unit_exit.cause(lines).startswith("sqlalchemy.exc.OperationalError")
    told = unit_exit.summarize_log(lines)
    assert [line for line in told if not line.startswith(" ")] == [
        "ConnectionRefusedError: [Errno 111] Connection refused",
        'sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (2003, "Can\'t connect")',
        "(Background on this error at: https://sqlalche.me/e/20/e3q8)",
    ]


def test_a_program_that_says_much_is_cut_to_what_a_record_carries(programs: FakePrograms) -> None:
    journal(programs, starting("1"), own("\n".join(f"{number} " + "x" * 5000 for number in range(400))), ending("1"))
    end = unit_exit.last_exit(UNIT)
    assert [line.split()[0] for line in end.lines] == [str(number) for number in range(400 - unit_exit.MAX_LINES, 400)]
    assert max(len(line) for line in [*end.lines, end.cause]) == unit_exit.MAX_LINE_LENGTH


@pytest.mark.parametrize(
    ("result", "code", "status", "how"),
    [
        ("exit-code", "exited", "3", "exit code 3"),
        ("signal", "killed", "9", "killed by SIGKILL"),
        ("core-dump", "dumped", "11", "killed by SIGSEGV"),
        ("oom-kill", "killed", "9", "out of memory"),
        ("timeout", "killed", "15", "it took too long"),
    ],
)
def test_how_a_run_ended_is_told_in_words(programs: FakePrograms, result: str, code: str, status: str, how: str) -> None:
    journal(programs, starting("1"), ending("1", result=result, code=code, status=status))
    assert unit_exit.last_exit(UNIT).description == how


def test_a_journal_that_says_nothing_or_no_text_is_no_error(programs: FakePrograms) -> None:
    assert unit_exit.last_exit(UNIT) == unit_exit.UnitExit()
    journal(programs, starting("1"), [{"MESSAGE": [104, 105, 255]}, {"MESSAGE": None}], ending("1"))
    programs.answers["journalctl"] = (0, "no JSON\n" + programs.answers["journalctl"][1])
    assert unit_exit.last_exit(UNIT).lines == ["hi\ufffd"]


class Systemd:
    """What `systemctl show` says of one unit of the target, which a test changes."""

    def __init__(self, programs: FakePrograms) -> None:
        self.programs = programs
        self.says()

    def says(self, state: str = "activating", sub: str = "start", *, kind: str = "oneshot", restarts: int = 0, since: float = 0) -> None:
        # The first words decide in `Programs`: the target's wants are asked for first.
        self.programs.answers = {
            "systemctl show --property=Wants": (0, f"webstack.timer {UNIT} network-online.target\n"),
            "systemctl show --property=Id,": (
                0,
                f"Id={UNIT}\nActiveState={state}\nSubState={sub}\nType={kind}\nNRestarts={restarts}\n"
                f"ActiveEnterTimestampMonotonic={int(since * 1e6)}\nTimeoutStartUSec=10min\n",
            ),
            **{words: answer for words, answer in self.programs.answers.items() if words.startswith("journalctl")},
        }


@pytest.fixture
def systemd(programs: FakePrograms) -> Systemd:
    journal(programs, starting("1"), own(MISSING), ending("1"))
    return Systemd(programs)


def waiting(restarts: int) -> tuple[str, str, int]:
    """A unit that has failed and waits for its next start; systemd counts starts."""
    return "activating", "auto-restart", restarts


def test_a_unit_is_told_of_at_its_second_failure_and_its_host_has_failed_at_the_fifth(systemd: Systemd) -> None:
    watch, seen = unit_failures.FailureMonitor(), dict[int, Any]()
    for restarts in range(5):
        state, sub, count = waiting(restarts)
        systemd.says(state, sub, restarts=count)
        seen[restarts + 1] = watch.poll()
        systemd.says(restarts=count + 1)
        assert watch.poll() == seen[restarts + 1], "the next run has begun: that is no other failure"
    assert seen[1] is None
    assert [found.permanent for _, found in sorted(seen.items())[1:]] == [False, False, False, True]
    told = seen[2].check_result(CheckResult(ok=False, reason="it does not run yet", facts={"role": "web"}))
    assert told.reason == f"{UNIT} has failed 2 times (exit code 1): ModuleNotFoundError: No module named 'nosuchmodule'"
    assert told.facts == {"role": "web", "failing": UNIT}
    assert told.detail == MISSING.splitlines()[1:]


def test_the_log_is_read_once_for_each_failure_and_again_while_it_says_nothing(systemd: Systemd, programs: FakePrograms) -> None:
    watch = unit_failures.FailureMonitor()

    def read() -> int:
        return [call[0] for call in programs.calls].count("journalctl")

    systemd.says("activating", "auto-restart", restarts=1)
    written = programs.answers.pop("journalctl")
    first = watch.poll()
    programs.answers["journalctl"] = written
    second = watch.poll()
    assert first is not None
    assert second is not None
    assert (first.last_exit.lines, second.last_exit.lines) == ([], MISSING.splitlines()[1:]), "the journal was behind"
    before = read()
    watch.poll()
    assert read() == before


def test_what_has_run_well_begins_anew(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(unit_failures, "time", clock)
    watch, clock.now = unit_failures.FailureMonitor(), 100.0
    systemd.says("active", "running", kind="notify", restarts=4, since=99)
    found = watch.poll()
    assert found is not None, "Gunicorn is active before its workers have loaded the app"
    assert not found.permanent
    systemd.says("active", "running", kind="notify", restarts=4, since=100 - unit_failures.STABLE_AFTER)
    assert watch.poll() is None
    systemd.says("activating", "auto-restart", kind="notify", restarts=4)
    assert watch.poll() is None, "the first failure since"
    systemd.says("activating", "auto-restart", kind="notify", restarts=5)
    assert watch.poll() is not None
    systemd.says("activating", "start", kind="notify", restarts=0)
    assert watch.poll() is None, "somebody started it"


def test_a_migration_that_has_succeeded_in_the_end_is_none_that_fails(systemd: Systemd) -> None:
    systemd.says("active", "exited", restarts=4)
    assert unit_failures.FailureMonitor().poll() is None


def test_a_migration_that_took_too_long_is_told_so_at_once_with_the_setting_that_says_how_long(
    systemd: Systemd, programs: FakePrograms
) -> None:
    journal(programs, starting("1"), own("altering orders"), ending("1", result="timeout", code="killed", status="15"))
    systemd.says("activating", "auto-restart")
    found = unit_failures.FailureMonitor().poll()
    assert found is not None
    assert found.permanent
    assert found.check_result(SERVES).reason == "the migration took longer than web.migrateTimeout=10min and was stopped"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: FakePrograms) -> Told:
    clock = Clock()
    monkeypatch.setattr(configure, "time", clock)
    monkeypatch.setattr(configure, "PACKAGE_POLICY", tmp_path / "policy-rc.d")
    return Told(clock)


def test_a_host_without_failing_units_tells_what_its_role_found(said: Told) -> None:
    role = FakeRole(CheckResult(ok=False, reason="no"), SERVES)
    configure.run_until_ready(HOST, lambda: role, publish=said.say)
    assert said[1:] == [("starting", "no"), ("ready", "serves")]


def test_a_failing_unit_takes_the_place_of_what_the_check_found_and_ends_the_wait(said: Told, systemd: Systemd) -> None:
    """By the count of its failures and not by the clock: the readiness deadline is far away."""
    looks = [waiting(0), waiting(1), waiting(2), waiting(3), waiting(4), waiting(5)]

    class Role(FakeRole):
        def check(self) -> CheckResult:
            if not looks:
                return SERVES
            state, sub, restarts = looks.pop(0)
            systemd.says(state, sub, restarts=restarts)
            return CheckResult(ok=False, reason=f"{UNIT} does not run yet", units=(UNIT,))

    role = Role(SERVES)
    configure.run_until_ready(HOST, lambda: role, publish=said.say)
    assert [(state, reason.partition(" (")[0]) for state, reason in said[1:]] == [
        ("starting", f"{UNIT} does not run yet"),
        ("starting", f"{UNIT} has failed 2 times"),
        ("starting", f"{UNIT} has failed 3 times"),
        ("starting", f"{UNIT} has failed 4 times"),
        ("failed", f"{UNIT} has failed 5 times"),
        ("failed", f"{UNIT} has failed 6 times"),
        ("ready", "serves"),
    ]
    assert said.details[2] == MISSING.splitlines()[1:]
    assert said.times[-1] < configure.POLL_INTERVAL * 10


def test_a_systemd_that_cannot_be_asked_is_no_reason_to_end(said: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("no bus")

    role = FakeRole(CheckResult(ok=False, reason="no"), SERVES)
    monkeypatch.setattr(services, "target_services", broken)
    configure.run_until_ready(HOST, lambda: role, publish=said.say)
    assert said[1:] == [("starting", "no"), ("ready", "serves")]


def test_the_pauses_of_what_runs_begin_anew_once_the_host_serves(said: Told, systemd: Systemd, programs: FakePrograms) -> None:
    systemd.says("active", "running", kind="notify", restarts=3)
    configure.run_until_ready(HOST, lambda: FakeRole(SERVES), publish=said.say)
    assert ["systemctl", "reset-failed", UNIT] in programs.calls
    programs.calls.clear()
    systemd.says("active", "running", kind="notify", restarts=0)
    unit_failures.reset_restart_counts()
    systemd.says("activating", "auto-restart", kind="notify", restarts=3)
    unit_failures.reset_restart_counts()
    assert not [call for call in programs.calls if call[1] == "reset-failed"]


@pytest.mark.parametrize("name", ["webstack-migrate.service", "webstack-app.service"])
def test_a_release_that_does_not_start_is_tried_at_longer_and_longer_intervals(name: str) -> None:
    """systemd multiplies RestartSec up to RestartMaxDelaySec in RestartSteps: systemd.service(5)."""
    text = (ROOT / "userdata/web/etc/systemd/system" / name).read_text()
    unit = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    first, longest, steps = (float(unit[key]) for key in ("RestartSec", "RestartMaxDelaySec", "RestartSteps"))
    pauses = [first * (longest / first) ** (number / steps) for number in range(unit_failures.FAIL_AFTER - 1)]
    assert pauses == sorted(set(pauses))
    assert sum(pauses) < 30, "the last failure that is waited for comes soon"
    assert longest <= 15, "what heals is noticed soon"
