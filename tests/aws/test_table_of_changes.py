"""Row by row of the table of changes (`tests/changes/table.py`): what the real engine does, and in which order, while it waits for hosts.

Rows that touch different things go in one `up`, and each `up` goes on from the one before, so that little has to be put back.
"""

import functools
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.aws.harness import RunResult, Stack, empty_stack
from tests.aws.simulated_hosts import simulated_hosts
from tests.changes.model import Chain, apply_edit, chain, steps
from tests.changes.table import CHANGES, DATABASES_IN_TURN
from tests.program_files import copy_program

UPS = (
    ("web-more", "database-told", "reloaded", "volume", "flow-logs", "zones"),
    ("web-fewer", "database-type", "lb-type", "allowed", "zones-fewer", "boundary"),
    ("web-rolled", "certificate", "nat"),
    ("replica-goes", "lb-rebooted", "nat-single"),
    ("replica-comes", "class"),
    ("common",),
    ("schema",),
    ("domain",),
    ("aliases",),
    ("backendMode",),
)
"""Rows of the table, by name; of each its first case."""


@dataclass
class Walk:
    """A stack on its way through the changes. `done` are those that it has, `sets` and the copy what they left."""

    stack: Stack
    copy: Path
    done: int = 0
    sets: dict[str, str] = field(default_factory=dict[str, str])

    def to(self, number: int) -> None:
        """Makes every change before that one that is not made yet: a test can run alone, or after one that failed."""
        if self.done < number:
            for names in UPS[self.done : number]:
                self._change(names)
            self._up()
            self.done = number

    def change(self, number: int) -> RunResult:
        """Makes one change."""
        self._change(UPS[number])
        self.done = number + 1
        return self._up()

    def _change(self, names: tuple[str, ...]) -> None:
        for name in names:
            case = CHANGES[name].examples[0]
            for text in case.sets:
                key, _, value = text.partition("=")
                self.sets[key] = value
            if case.edit is not None:
                apply_edit(case.edit, self.copy)

    def _up(self) -> RunResult:
        return self.stack.up_result(*(f"{key}={value}" for key, value in self.sets.items()), repository=self.copy)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The dev stack, applied from a copy of the program."""
    copy = copy_program(tmp_path_factory.mktemp("program"))
    with empty_stack("dev") as stack, simulated_hosts(stack.api):
        stack.base_settings = ("readiness.timeout=120", "readiness.site=false")
        anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        stack.api.iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(anything))
        stack.up(repository=copy)
        yield Walk(stack, copy)


@pytest.mark.parametrize("number", range(len(UPS)), ids=["+".join(names) for names in UPS])
def test_the_engine_does_what_the_table_says_in_its_order(walk: Walk, number: int) -> None:
    walk.to(number)
    told = walk.change(number)
    done = [f"{operation} {name.removeprefix('dev-')}" for operation, name in told.steps]
    rows = [CHANGES[name] for name in UPS[number]]
    wanted = Counter(step for row in rows for step in steps(row))
    assert (Counter(done) - wanted, wanted - Counter(done)) == (Counter(), Counter()), "done without being in the table, and the reverse"
    for row in rows:
        assert [broken for one in row.chains for broken in out_of_order(one, done)] == [], done


def out_of_order(one: Chain, done: list[str]) -> Iterator[str]:
    """What came too early, with what should have been there before it."""
    for earlier, later in itertools.pairwise(one):
        last = max((index, step) for index, step in enumerate(done) if step in earlier)
        yield from (f"{step} before {last[1]}" for step in done[: last[0]] if step in later)


def test_a_wrong_order_is_seen() -> None:
    assert list(out_of_order(DATABASES_IN_TURN, [step for phase in DATABASES_IN_TURN for step in phase])) == []
    assert list(out_of_order(chain("a", "b"), ["b", "a"])) == ["b before a"]
    assert list(out_of_order(chain(("a", "b"), ("c", "d")), ["a", "c", "b", "d"])) == ["c before b"]


def test_every_row_that_changes_something_is_made() -> None:
    made = {name for names in UPS for name in names}
    assert {name for name, row in CHANGES.items() if row.chains} == made
    for name in made:
        assert set(CHANGES[name].setup) <= set(sets_before(name)), f"{name} needs another state"


@functools.cache
def sets_before(name: str) -> tuple[str, ...]:
    """The settings of all that is made before a row."""
    (number,) = [number for number, names in enumerate(UPS) if name in names]
    return tuple(text for names in UPS[:number] for other in names for text in CHANGES[other].examples[0].sets)
