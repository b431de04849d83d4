"""Every command that speaks to programs prints one JSON object on stdout however it ends, and people read the same on stderr."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from lab.errors import LabError
from lab.lab_handle import LabHandle
from lab.paths import REPOSITORY
from ops import cli
from ops.errors import UserError

GIVEN: dict[str, list[str]] = {"rotate": ["session-key", "--lab", "mine"], "lab fault clear": ["--all"]}
"""What these need besides their arguments until they ask for the lab."""
FIRST_ASKED = ("require_root", "require_host", "require_disk_space")


def commands(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """All commands below one, by the words that they are called by."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(words), command
        return
    for name, one in below.items():
        yield from commands(one, *words, name)


ALL: dict[str, Any] = dict(commands(typer.main.get_command(cli.app)))
SPEAKING = {name: command for name, command in ALL.items() if any("--json" in one.opts for one in command.params)}


def line(name: str) -> list[str]:
    """A command line that is right as far as typer sees."""
    needed = [one for one in SPEAKING[name].params if one.param_type_name == "argument" and one.required]
    return [*name.split(), *("1" for _ in needed), *GIVEN.get(name, []), "--json"]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses that `webstack` ended with, where it does not end by returning."""
    statuses: list[int] = []
    monkeypatch.setattr(cli, "_exit_now", statuses.append)
    return statuses


def break_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a lab, or whether this machine can have one, gets that error."""

    def fails(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.setattr(LabHandle, "of", fails)
    for name in FIRST_ASKED:
        monkeypatch.setattr(f"ops.requirements.{name}", fails)


def test_those_that_do_not_are_known() -> None:
    assert set(ALL) - set(SPEAKING) == {"deployer-policy", "lab setup", "lab exec", "lab logs"}, (
        "theirs is JSON anyway, or another program's"
    )
    assert len(SPEAKING) > 25


@pytest.mark.parametrize("name", SPEAKING)
def test_an_error_is_one_object_and_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ended: list[int]
) -> None:
    break_with(UserError("the rule"), monkeypatch)
    cli.main(line(name))
    told = capsys.readouterr()
    assert json.loads(told.out) == {"ok": False, "error": "the rule"}
    assert told.err.endswith("the rule\n")
    assert ended == [1]


@pytest.mark.parametrize("name", SPEAKING)
def test_ctrl_c_is_one_object_too(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ended: list[int]) -> None:
    break_with(KeyboardInterrupt(), monkeypatch)
    cli.main(line(name))
    told = capsys.readouterr()
    assert json.loads(told.out) == {"ok": False, "error": "interrupted"}
    assert told.err.endswith("interrupted\n")
    assert ended == [130]


@pytest.mark.parametrize("name", SPEAKING)
def test_a_line_that_is_not_understood_is_one_object_too(name: str, capsys: pytest.CaptureFixture[str], ended: list[int]) -> None:
    cli.main([*name.split(), "--json", "--no-such-option"])
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert answer["ok"] is False
    assert "--no-such-option" in answer["error"]
    assert answer["error"] in told.err
    assert ended == [2]


@pytest.mark.parametrize("name", SPEAKING)
def test_a_fault_of_ours_is_one_object_too_and_keeps_its_traceback(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(ZeroDivisionError("by zero"), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        cli.main(line(name))
    assert json.loads(capsys.readouterr().out) == {"ok": False, "error": "ZeroDivisionError: by zero"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["lab", "kill", "--json"], "Missing argument"),
        (["lab", "kil", "--json"], "No such command"),
        (["lab", "--json"], "--json"),
        (["rotate", "--json"], "nothing to rotate"),
        (["rotate", "nothing", "--json"], "is not a secret of a stack"),
        (["rotate", "tls", "--from", "/nowhere.pem", "--json"], "cannot be read"),
        (["rotate", "session-key", "--timeout", "1", "--json"], "--timeout"),
        (["lab", "reach", "a", "b", "nine", "--json"], "port 'nine'"),
        (["lab", "fault", "clear", "--json"], "say which faults"),
        (["lab", "up", "--provider", "rael", "--json"], "did you mean real?"),
    ],
)
def test_mistakes_of_all_kinds_are_told_to_programs(
    given: list[str], says: str, capsys: pytest.CaptureFixture[str], ended: list[int]
) -> None:
    cli.main(given)
    told = capsys.readouterr()
    assert says in json.loads(told.out)["error"]
    assert says in told.err
    assert len(ended) == 1
    assert ended[0] in (1, 2)


def test_what_is_another_programs_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ended: list[int]
) -> None:
    break_with(LabError("no lab"), monkeypatch)
    for given in (["lab", "exec", "web-1", "--", "ip", "--json", "a"], ["lab", "exec", "web-1", "ip", "--json", "a"], ["lab", "status"]):
        cli.main(given)
    told = capsys.readouterr()
    assert (told.out, ended) == ("", [1, 1, 1])
    assert told.err == "no lab\n" * 3


def test_help_is_no_error(capsys: pytest.CaptureFixture[str], ended: list[int]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["lab", "up", "--json", "--help"])
    assert (caught.value.code, ended) == (0, [])
    assert capsys.readouterr().out.lstrip().startswith("Usage:")


@pytest.mark.programs
def test_a_process_ends_with_the_same_status_as_without() -> None:
    for given, status in ((["lab", "kill"], 2), (["rotate", "nothing"], 1)):
        for more in ([], ["--json"]):
            done = subprocess.run(
                [sys.executable, "-m", "ops", *given, *more], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
            )
            assert done.returncode == status, done.stderr
            assert done.stderr
            assert (json.loads(done.stdout)["ok"] is False) if more else done.stdout == ""
