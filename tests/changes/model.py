"""What a row of the table of changes is, and how it reads in words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

Phase = tuple[str, ...]
"""Steps of the engine, as `operation name`, in no order among themselves."""

Chain = tuple[Phase, ...]
"""Phases that follow each other: all steps of one have ended before the next phase's first one has."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A changed file of the program: `old` becomes `new`, once; where there is no `old`, `new` comes at the end."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """One change of a row's kind. `sets` are settings as `--set` takes them."""

    sets: tuple[str, ...] = ()
    edit: Edit | None = None


@dataclass(frozen=True, kw_only=True)
class ChangeKind:
    """One kind of change.

    `keys` are the settings that it is about, `setup` those that are set before it. Chains run side by side. Where `expected_error` says
    something, that is what the error says. `tested_by` names the test that shows it to visitors (`test_x.py::test_name` in tests/lab) or
    says why there is none.
    """

    title: str
    keys: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    setup: tuple[str, ...] = ()
    chains: tuple[Chain, ...] = ()
    retags_everything: bool = False
    expected_error: str = ""
    visitors: str
    tested_by: str


def sets(*settings: str) -> Example:
    """Settings that are changed together."""
    return Example(sets=settings)


def edit(file: str, old: str, new: str) -> Example:
    """A changed file."""
    return Example(edit=Edit(file=file, old=old, new=new))


def apply_edit(wanted: Edit, program: Path) -> None:
    """Makes the change in a copy of the program."""
    path = program / wanted.file
    text = path.read_text()
    assert wanted.old in text, f"{wanted.file} no longer holds {wanted.old!r}: change the table with it"
    path.write_text(text.replace(wanted.old, wanted.new, 1) if wanted.old else text + wanted.new)


def chain(*steps: str | Phase) -> Chain:
    """Steps that follow each other."""
    return tuple((step,) if isinstance(step, str) else step for step in steps)


def parallel(*steps: str) -> tuple[Chain, ...]:
    """Steps that wait for nothing of each other."""
    return tuple(chain(step) for step in steps)


def steps(row: ChangeKind) -> list[str]:
    """Every step of a row, sorted."""
    return sorted(step for one in row.chains for phase in one for step in phase)


_VERBS: Final = {
    "create": "make", "create-replacement": "make the new", "update": "change", "delete": "delete", "delete-replaced": "delete the old"
}  # fmt: skip


def describe(row: ChangeKind) -> str:
    """What the engine does, in words."""
    if row.retags_everything:
        return "change all that bears tags"
    if row.expected_error:
        return "refuses"
    side_by_side = tuple(one[0][0] for one in row.chains if len(one) == len(one[0]) == 1)
    in_turn = [" → ".join(_phase(phase) for phase in one) for one in row.chains if len(one) > 1]
    return "; ".join([*in_turn, *([_phase(side_by_side)] if side_by_side else [])]) or "nothing"


def _phase(phase: Phase) -> str:
    """A phase in words: each operation once, before the names that it is done to."""
    names: dict[str, list[str]] = {}
    for step in phase:
        operation, _, name = step.partition(" ")
        names.setdefault(_VERBS[operation], []).append(f"`{name}`")
    return ", ".join(f"{verb} {', '.join(dict.fromkeys(found))}" for verb, found in names.items())
