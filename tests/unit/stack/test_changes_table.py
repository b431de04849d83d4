"""The table of changes is whole: every setting has its row, every case touches what its row says, and what a row names exists."""

import re
from pathlib import Path
from typing import Any

import pytest

from lab.engine.workspace import Setting
from lab.provider.schema import resource_fields
from stack.settings import reference
from tests.changes.model import Case, Row, steps
from tests.changes.table import ROWS
from tests.unit.monitor import Program, Registered
from tests.unit.stack.conftest import RunProgram

ROOT = Path(__file__).parents[3]

FOLLOWS = frozenset({"web-name"})
"""What changes with the address of a replaced host, which only the engine knows of."""


def test_every_setting_has_a_row_and_no_row_has_another() -> None:
    known = [key.removeprefix("webstack:") for key, _, _ in reference()]
    told = {key for row in ROWS.values() for key in row.keys}
    assert sorted(told) == sorted(known)


def test_every_row_names_the_test_that_shows_it_or_says_why_there_is_none() -> None:
    for name, row in ROWS.items():
        file, found, test = row.tried.partition("::")
        if found:
            assert f"def {test}(" in (ROOT / "tests" / "lab" / file).read_text(), f"{name}: there is no {row.tried}"
        else:
            assert len(row.tried) > 20, name


def test_every_edit_is_of_what_a_file_holds() -> None:
    for row in ROWS.values():
        for wanted in (case.edit for case in row.cases if case.edit):
            assert wanted.old in (ROOT / wanted.file).read_text(), wanted.file


SETTINGS = [(name, case) for name, row in ROWS.items() for case in row.cases if case.sets and not row.refused and not row.first]
ALONE = [(name, case) for name, case in SETTINGS if len(ROWS[name].cases) > 1]
"""Of a row with one case the engine shows what it touches."""


@pytest.mark.parametrize(("name", "case"), ALONE, ids=[" ".join((name, *case.sets)) for name, case in ALONE])
def test_each_setting_by_itself_touches_what_its_row_says(program: RunProgram, name: str, case: Case) -> None:
    before, after = program("dev"), program("dev", **changes_of(case))
    assert touched(before, after) == expected(ROWS[name], before)


def changes_of(case: Case) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for text in case.sets:
        Setting.parse(text).apply(config)
    return {section.removeprefix("webstack:"): values for section, values in config.items() if section != "webstack:readiness"}


def touched(before: Program, after: Program) -> set[str]:
    """The names of what is there once only, or with other inputs, but for those of which changes are ignored."""
    first, second = ({(item.token, item.name): looked_at(item) for item in one.resources} for one in (before, after))
    return {key[1].removeprefix("dev-") for key in first.keys() | second.keys() if first.get(key) != second.get(key)}


def looked_at(item: Registered) -> dict[str, Any]:
    return {name: value for name, value in item.inputs.items() if name not in item.ignore_changes}


def expected(row: Row, program: Program) -> set[str]:
    if row.all_tagged:
        return {item.name.removeprefix("dev-") for item in program.resources if item.custom and "tags" in resource_fields(item.token)}
    return {step.partition(" ")[2] for step in steps(row)} - FOLLOWS


def test_no_row_stops_two_hosts_of_a_tier_at_once() -> None:
    """Whatever stops a host is an update of it (a pet's type or user data), and such updates of one tier are in one chain, in turn."""
    for name, row in ROWS.items():
        for tier in ("lb", "web", "db"):
            stopped = [step for step in steps(row) if re.fullmatch(rf"update {tier}-\d+", step)]
            in_turn = [sum(step in phase for step in stopped) for one in row.chains for phase in one]
            assert max(in_turn, default=0) <= 1, name
            assert sum(any(step in phase for phase in one for step in stopped) for one in row.chains) <= 1, name
