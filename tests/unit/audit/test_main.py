"""`python -m audit`: what it prints and what it ends with."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from audit import __main__ as command
from audit import baseline, dependencies, repository
from audit.dependencies import UnreachableError
from audit.findings import AuditError, Finding

OPEN = Finding(scanner="bandit", check="B602:shell", stack="repository", resource="lab/x.py:f")

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Audits the repository with scanners that find what they are told to; gives the status and what was printed."""

    def audit(found: list[Finding] | Exception, known: list[Finding] | Exception, *words: str) -> tuple[int, str]:
        monkeypatch.setattr(repository, "scan", _gives(found))
        monkeypatch.setattr(dependencies, "scan", _gives(known))
        monkeypatch.setattr(baseline, "load", list)
        monkeypatch.setattr("sys.argv", ["audit", "repository", *words])
        status = command.main()
        return status, capsys.readouterr().out

    return audit


def _gives(what: list[Finding] | Exception) -> Callable[..., list[Finding]]:
    def scan(*_: Any) -> list[Finding]:
        if isinstance(what, Exception):
            raise what
        return what

    return scan


def test_nothing_new_is_0(run: Run) -> None:
    status, said = run([], [])
    assert (status, "0 new" in said) == (0, True)


@pytest.mark.parametrize("known", [[], UnreachableError("no route")])
def test_something_new_is_1_whoever_did_not_answer(run: Run, known: list[Finding] | Exception) -> None:
    status, said = run([OPEN], known)
    assert (status, "NEW" in said) == (1, True)


def test_a_vulnerability_is_1(run: Run) -> None:
    assert run([], [OPEN])[0] == 1


def test_a_scanner_that_failed_is_1(run: Run) -> None:
    assert run(AuditError("it is not installed"), [])[0] == 1


def test_dependencies_that_nobody_could_be_asked_for_are_3_and_said(run: Run) -> None:
    status, said = run([], UnreachableError("https://osv.test: no route"))
    assert status == 3
    assert "NOT LOOKED UP the dependencies' vulnerabilities: no answer from https://osv.test: no route" in " ".join(said.split())
    status, said = run([], UnreachableError("https://osv.test: no route"), "--json")
    assert (status, json.loads(said)["dependencies_not_looked_up"]) == (3, "https://osv.test: no route")
