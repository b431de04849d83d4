"""The engine's events become lines for people: hosts' own news once, failures kept, counts right."""

import io
import re

import pytest
from pulumi import automation as auto

from ops.errors import clean_messages
from ops.progress import Progress
from ops.terminal import Terminal

URN = "urn:pulumi:dev::webstack::aws:ec2/instance:Instance::"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(output: io.StringIO, clock: Clock) -> Progress:
    return Progress(Terminal(file=output, width=200), "up dev", clock=clock)


def step(kind: str, op: str, name: str, token: str = "aws:ec2/instance:Instance") -> auto.EngineEvent:
    metadata = {"op": op, "urn": f"urn:pulumi:dev::webstack::{token}::{name}", "type": token, "provider": ""}
    return auto.EngineEvent.from_json({"sequence": 1, "timestamp": 1, kind: {"metadata": metadata}})


def said(message: str, *, severity: str = "info", urn: str = URN + "web-1") -> auto.EngineEvent:
    return auto.EngineEvent.from_json(
        {"sequence": 1, "timestamp": 1, "diagnosticEvent": {"message": message, "color": "never", "severity": severity, "urn": urn}}
    )


def test_what_a_host_says_is_shown_once_under_its_name(progress: Progress, output: io.StringIO) -> None:
    for message in ("installing packages", "installing packages", "ready"):
        progress(said(message))
    assert output.getvalue().splitlines() == ["  web-1    installing packages", "  web-1    ready"]


def test_the_summary_counts_resources_and_not_components(progress: Progress, clock: Clock) -> None:
    progress(step("resOutputsEvent", "create", "vpc", "aws:ec2/vpc:Vpc"))
    progress(step("resOutputsEvent", "create", "network", "webstack:network:Network"))
    progress(step("resOutputsEvent", "update", "lb-1"))
    progress(step("resOutputsEvent", "same", "web-1"))
    clock.now = 12.0
    assert progress.summary() == "1 created, 1 updated in 12 s"


def test_a_replacement_counts_what_came_and_what_went(progress: Progress) -> None:
    for op in ("create-replacement", "replace", "delete-replaced"):
        progress(step("resOutputsEvent", op, "web-1"))
    assert progress.summary() == "1 created, 1 deleted in 0 s"


def test_nothing_done_is_said_so(progress: Progress) -> None:
    assert progress.summary() == "nothing to change in 0 s"


def test_without_a_terminal_a_long_silence_is_broken_by_a_count(progress: Progress, output: io.StringIO, clock: Clock) -> None:
    progress(step("resourcePreEvent", "create", "web-1"))
    assert output.getvalue() == ""
    clock.now = 11.0
    progress(step("resourcePreEvent", "create", "web-2"))
    assert output.getvalue().strip() == "up dev: 0 done, now web-1, web-2 (11 s)"


def test_errors_are_kept_for_the_end(progress: Progress) -> None:
    progress(said("creating EC2 Instance: InsufficientInstanceCapacity", severity="error"))
    assert progress.failures == ["creating EC2 Instance: InsufficientInstanceCapacity"]


def test_a_failure_is_said_without_colour_codes_repeats_and_noise() -> None:
    failures = ["<{%fg 1%}>error<{%reset%}>: the CIDR", "an unhandled error occurred: the CIDR", "update failed"]
    assert clean_messages(failures) == ["the CIDR"]


def test_a_failure_that_a_callback_told_as_well_is_said_once() -> None:
    failure = "web-1 (i-1) failed: nginx.service does not run yet\n    Nothing was deleted."
    assert clean_messages([f"error: {failure}", f"Exception calling application: {failure}"]) == [failure]


def test_a_question_that_the_api_did_not_answer_is_no_traceback_of_the_program() -> None:
    failure = (
        "error: Program failed with an unhandled exception:\nTraceback (most recent call last):\n"
        '  File "invoke.py", line 417, in do_rpc\n    raise error\n'
        "Exception: invoke of aws:index/getZones:getZones failed: invocation of aws:index/getZones:getZones returned an error: "
        "operation error ec2: DescribeZones, api error ConnectionClosedError: Connection was closed\n"
    )
    bug = "error: Program failed with an unhandled exception:\nTraceback (most recent call last):\n  File x\nValueError: a bug"
    assert clean_messages([failure]) == [
        "invoke of aws:index/getZones:getZones: operation error ec2: DescribeZones, api error ConnectionClosedError: Connection was closed"
    ]
    assert "Traceback" in clean_messages([bug])[0], "where the program is to blame its line is told"


CODES = "a :key: of [red]one[/red] [1] http://web-1/ 'x'"


@pytest.mark.parametrize("terminal", [False, True])
def test_what_hosts_and_aws_say_is_shown_letter_by_letter(terminal: bool) -> None:
    output = io.StringIO()
    with Progress(Terminal(file=output, width=200, force_terminal=terminal), f"up {CODES}") as progress:
        progress(said(CODES))
        progress(step("resourcePreEvent", "create", CODES))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.getvalue())
    assert f"  web-1    {CODES}" in shown
    assert f"up {CODES}" in shown
    if terminal:
        assert f"up {CODES}: 0 done, now {CODES}" in shown, "the line that moves"
