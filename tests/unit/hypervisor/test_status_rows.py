"""A row of `webstack lab status`: ready only while the host runs, and otherwise why not."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab import control_server
from lab.hypervisor.status import Word

SERVES = Word(ready=True, reason="serves the app")


def row(*, running: bool, phase: str, word: Word | None, problem: str = "") -> dict[str, object]:
    desired = SimpleNamespace(
        name="web-2", role="web", zone="eu-central-1b", address=None, public_address=None, instance_id="i-1", problem="", group_ids=()
    )
    keeper: Any = SimpleNamespace(desired=desired, running=running, phase=phase, problem=problem)
    policy: Any = SimpleNamespace(problems_of=lambda _: [])  # pyright: ignore[reportUnknownLambdaType]
    return cast("Any", control_server)._row(keeper, word, policy)


@pytest.mark.parametrize(
    ("running", "phase", "word", "problem", "ready", "reason"),
    [
        (True, "running", SERVES, "", True, ""),
        (True, "running", None, "", False, "no word from it yet"),
        (True, "shutting-down", SERVES, "", False, "it is shutting-down"),
        (True, "stopping", SERVES, "", False, "it is stopping"),
        (False, "stopped", SERVES, "", False, "it is stopped"),
        (False, "pending", None, "its image is not there", False, "its image is not there"),
    ],
)
def test_what_a_host_said_while_it_ran_is_no_reason_later(
    running: bool, phase: str, word: Word | None, problem: str, ready: bool, reason: str
) -> None:
    found = row(running=running, phase=phase, word=word, problem=problem)
    assert (found["ready"], found["reason"]) == (ready, reason)
