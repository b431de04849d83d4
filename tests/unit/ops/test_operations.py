"""What `webstack lab up` does with a lab that holds another stack, or whose API server or state is gone."""

import contextlib
import io
import json
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pulumi import automation as auto

from lab.engine.engine import InterruptedRunError
from lab.engine.state_errors import CorruptStateError
from lab.lab_handle import LabHandle
from lab.names import LabNames
from lab.processes import write_pid_file
from ops import operations
from ops.errors import UserError
from ops.options import EngineRequest
from ops.terminal import Terminal
from stack.site_check import SITE_SKIPPED, SITE_UNREACHABLE, SITE_UP

QUIET = Terminal(file=io.StringIO())


class Result:
    """What an `up` gives."""

    outputs: dict[str, object] = {}  # noqa: RUF012 (nothing changes it)


@dataclass
class Doings:
    """What was done, in order; `failures` are what the engine's next runs raise, `says` what the program says in each."""

    says: tuple[str, ...] = ()
    done: list[str] = field(default_factory=list[str])
    failures: list[Exception] = field(default_factory=list[Exception])

    def up(self, *, on_event: Callable[[auto.EngineEvent], None], **_: object) -> Result:
        self.done.append("apply")
        for text in self.says:
            told = {"message": text, "color": "never", "severity": "info", "urn": ""}
            on_event(auto.EngineEvent.from_json({"sequence": 1, "timestamp": 1, "diagnosticEvent": told}))
        if self.failures:
            raise self.failures.pop(0)
        return Result()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabHandle:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    session = LabHandle(names=LabNames.of("unit"))
    session.names.state_dir.mkdir(parents=True)
    api_runs(session, os.getpid())
    return session


@pytest.fixture
def doings(session: LabHandle, monkeypatch: pytest.MonkeyPatch) -> Doings:
    doings = Doings()

    @contextlib.contextmanager
    def engine(*_: object) -> Generator[Doings]:
        yield doings

    def take_down(session: LabHandle) -> None:
        doings.done.append("take down")
        (session.engine_home / "lab.json").unlink(missing_ok=True)

    def start(*_: object) -> None:
        doings.done.append("start")

    monkeypatch.setattr(operations, "lab_engine", engine)
    monkeypatch.setattr(operations, "take_down", take_down)
    monkeypatch.setattr(LabHandle, "start", start)
    return doings


def api_runs(session: LabHandle, pid: int) -> str:
    """Has that process for the lab's API server; how the lab remembers it."""
    write_pid_file(session.names.pid_file("api"), pid)
    return session.names.pid_file("api").read_text().strip()


def held(session: LabHandle) -> dict[str, str]:
    return json.loads((session.engine_home / "lab.json").read_text())


def up(session: LabHandle, stack: str | None = None) -> str:
    said: list[str] = []
    operations.up(session, EngineRequest(stack=stack), QUIET, said.append)
    return "\n".join(said)


def test_another_stack_onto_a_lab_that_holds_one_is_refused_before_anything_is_done(session: LabHandle, doings: Doings) -> None:
    session.record_stack(stack="dev", provider="lab")
    for command in (lambda: up(session, "prod"), lambda: operations.destroy(session, EngineRequest(stack="prod"), QUIET)):
        with pytest.raises(UserError, match=r"--stack prod: lab 'unit' holds stack 'dev'.*--lab prod.*webstack lab down"):
            command()
    assert doings.done == []
    assert held(session)["stack"] == "dev"


def test_without_a_name_it_is_the_stack_that_the_lab_holds_else_dev(session: LabHandle, doings: Doings) -> None:
    assert operations.stack_for(session, None) == "dev"
    session.record_stack(stack="prod", provider="lab")
    assert operations.stack_for(session, None) == operations.stack_for(session, "prod") == "prod"


def test_an_api_server_that_was_started_anew_knows_nothing_so_the_lab_starts_afresh(session: LabHandle, doings: Doings) -> None:
    session.record_stack(stack="prod", provider="lab")
    another = api_runs(session, os.getppid())
    assert "API server was restarted" in up(session)
    assert doings.done == ["start", "take down", "start", "apply"]
    assert held(session) == {"stack": "prod", "provider": "lab", "api": another}, "the stack that it held"


def test_an_up_whose_api_server_ended_meanwhile_fails_with_that_reason_too(
    session: LabHandle, doings: Doings, monkeypatch: pytest.MonkeyPatch
) -> None:
    doings.failures = [UserError("up dev: failed."), UserError("up dev: failed.")]
    with pytest.raises(UserError, match=r"^up dev: failed\.$"):
        up(session)
    remember = LabHandle.record_stack

    def meanwhile(session: LabHandle, **what: str) -> None:
        remember(session, **what)
        session.names.pid_file("api").write_text(f"{os.getpid()} 1\n")  # of a process that is gone: its number is another's now

    monkeypatch.setattr(LabHandle, "record_stack", meanwhile)
    with pytest.raises(UserError, match=r"^up dev: failed\.\nThe lab's API server ended .*`webstack lab up` again.*/api\.log$"):
        up(session)


def test_the_same_api_server_is_gone_on_with(session: LabHandle, doings: Doings) -> None:
    session.record_stack(stack="dev", provider="lab")
    up(session)
    assert doings.done == ["start", "apply"]


@pytest.mark.parametrize("error", [InterruptedRunError(["urn:x::web-1"]), CorruptStateError(Path("/state/dev.json"), "is not whole")])
def test_a_state_that_is_lost_makes_it_start_afresh_once(session: LabHandle, doings: Doings, error: Exception) -> None:
    session.record_stack(stack="prod", provider="real")
    doings.failures = [error]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.engine.real_providers.check_installed", print)
        assert "starting afresh" in up(session)
    assert doings.done == ["start", "apply", "take down", "start", "apply"]
    assert held(session)["stack"] == "prod"
    assert held(session)["provider"] == "real"


@pytest.mark.parametrize(
    ("says", "ending"),
    [
        (("web-1: ready after 3 s", f"{SITE_UP}https://shop.example/"), "serving after 7 s: the site answers: https://shop.example/"),
        (
            (f"{SITE_SKIPPED}readiness.wait is false",),
            "finished after 7 s, not known to serve: the site was not asked: readiness.wait is",
        ),
        (
            (f"{SITE_UNREACHABLE}nobody answers",),
            "finished after 7 s, not known to serve: the site could not be asked from here: nobody",
        ),
        (("web-1: ready after 3 s",), "finished after 7 s, not known to serve: the site was not asked"),
    ],
)
def test_an_up_is_called_serving_only_where_the_site_was_asked_and_answered(
    session: LabHandle, doings: Doings, says: tuple[str, ...], ending: str
) -> None:
    doings.says = says
    applied = operations.up(session, EngineRequest(stack="dev"), QUIET, lambda _: None)
    assert applied.summary(7.2).startswith(ending)
