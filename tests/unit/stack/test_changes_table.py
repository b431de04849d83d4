"""The table of changes is whole: every setting has its row, every case touches what its row says, and what a row names exists."""

import re
from pathlib import Path
from typing import Any

import pytest

from lab.engine.workspace import Setting
from lab.provider.schema import resource_fields
from stack.settings import reference_rows
from tests.changes.model import ChangeKind, Example, steps
from tests.changes.table import CHANGES
from tests.unit.monitor import RecordedProgram, RegisteredResource
from tests.unit.stack.conftest import ProgramRunner

ROOT = Path(__file__).parents[3]

SECONDARY_CHANGES = frozenset({"web-name"})
"""What changes with the address of a replaced host, which only the engine knows of."""


def test_every_setting_has_a_row_and_no_row_has_another() -> None:
    known = [key.removeprefix("webstack:") for key, _, _ in reference_rows()]
    told = {key for row in CHANGES.values() for key in row.keys}
    assert sorted(told) == sorted(known)


def test_every_row_names_the_test_that_shows_it_or_says_why_there_is_none() -> None:
    for name, row in CHANGES.items():
        file, found, test = row.tested_by.partition("::")
        if found:
            assert f"def {test}(" in (ROOT / "tests" / "lab" / file).read_text(), f"{name}: there is no {row.tested_by}"
        else:
            assert len(row.tested_by) > 20, name


def test_every_edit_is_of_what_a_file_holds() -> None:
    for row in CHANGES.values():
        for wanted in (case.edit for case in row.examples if case.edit):
            assert wanted.old in (ROOT / wanted.file).read_text(), wanted.file


SETTINGS = [
    (name, case) for name, row in CHANGES.items() for case in row.examples if case.sets and not row.expected_error and not row.setup
]
SINGLE_SETTINGS = [(name, case) for name, case in SETTINGS if len(CHANGES[name].examples) > 1]
"""Of a row with one case the engine shows what it touches."""


@pytest.mark.parametrize(("name", "case"), SINGLE_SETTINGS, ids=[" ".join((name, *case.sets)) for name, case in SINGLE_SETTINGS])
def test_each_setting_by_itself_touches_what_its_row_says(program: ProgramRunner, name: str, case: Example) -> None:
    before, after = program("dev"), program("dev", **section_changes(case))
    assert changed_resources(before, after) == expected(CHANGES[name], before)


def section_changes(case: Example) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for text in case.sets:
        Setting.parse(text).apply(config)
    return {section.removeprefix("webstack:"): values for section, values in config.items() if section != "webstack:readiness"}


def changed_resources(before: RecordedProgram, after: RecordedProgram) -> set[str]:
    """The names of what is there once only, or with other inputs, but for those of which changes are ignored."""
    first, second = ({(item.token, item.name): compared_inputs(item) for item in one.resources} for one in (before, after))
    return {key[1].removeprefix("dev-") for key in first.keys() | second.keys() if first.get(key) != second.get(key)}


def compared_inputs(item: RegisteredResource) -> dict[str, Any]:
    return {name: value for name, value in item.inputs.items() if name not in item.ignore_changes}


def expected(row: ChangeKind, program: RecordedProgram) -> set[str]:
    if row.retags_everything:
        return {item.name.removeprefix("dev-") for item in program.resources if item.custom and "tags" in resource_fields(item.token)}
    return {step.partition(" ")[2] for step in steps(row)} - SECONDARY_CHANGES


def test_no_row_stops_two_hosts_of_a_tier_at_once() -> None:
    """Whatever stops a host is an update of it (a pet's type or user data), and such updates of one tier are in one chain, in turn."""
    for name, row in CHANGES.items():
        for tier in ("lb", "web", "db"):
            stopped = [step for step in steps(row) if re.fullmatch(rf"update {tier}-\d+", step)]
            in_turn = [sum(step in phase for step in stopped) for one in row.chains for phase in one]
            assert max(in_turn, default=0) <= 1, name
            assert sum(any(step in phase for phase in one for step in stopped) for one in row.chains) <= 1, name
