"""The reviewed file: what it knows, what is new, and what it says in vain."""

from pathlib import Path

import pytest

from audit import baseline
from audit.baseline import BaselineEntry, classify
from audit.findings import AuditError, Finding
from audit.prowler import services

OPEN = Finding(scanner="prowler", check="open_port", stack="dev", resource="web")
ENTRY = BaselineEntry(category="stack", scanner="prowler", checks=("open_*",), resources=("web",), reason="the hosts serve the internet")


def test_a_finding_that_an_entry_covers_is_known() -> None:
    assert classify([OPEN], [ENTRY]).passed


@pytest.mark.parametrize("other", [{"scanner": "parliament"}, {"check": "closed"}, {"resource": "db"}])
def test_a_finding_that_differs_in_one_thing_is_new(other: dict[str, str]) -> None:
    finding = Finding(**{"scanner": "prowler", "check": "open_port", "stack": "dev", "resource": "web", **other})
    judgement = classify([OPEN, finding], [ENTRY])
    assert (judgement.new, judgement.passed) == ([finding], False)


def test_an_entry_for_one_stack_does_not_excuse_the_other() -> None:
    entry = ENTRY.model_copy(update={"stacks": ("prod",)})
    assert classify([OPEN], [entry]).new == [OPEN]


@pytest.mark.parametrize("more", [{"checks": ("open_*", "gone")}, {"resources": ("web", "gone")}, {"stacks": ("dev", "gone")}])
def test_a_pattern_that_matches_nothing_any_more_is_told(more: dict[str, tuple[str, ...]]) -> None:
    judgement = classify([OPEN], [ENTRY.model_copy(update=more)])
    assert not judgement.passed
    (said,) = judgement.stale
    assert "'gone' matches no finding any more" in said


def test_an_audit_of_one_stack_says_nothing_of_entries_that_match_nothing() -> None:
    assert classify([], [ENTRY], complete=False).passed


def test_of_a_scanner_that_could_not_look_no_entry_is_in_vain() -> None:
    entry = ENTRY.model_copy(update={"scanner": "pip-audit"})
    assert not classify([], [entry]).passed
    assert classify([], [entry], unavailable={"pip-audit"}).passed


def test_a_mistake_in_the_file_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "baseline.yaml"
    file.write_text("- {about: nothing, scanner: prowler, checks: [a], reason: short, resource: [b]}")
    with pytest.raises(AuditError, match=r"entry 0\.about") as told:
        baseline.load(file)
    assert "entry 0.reason" in str(told.value)
    assert "entry 0.resource" in str(told.value)


def test_the_reviewed_file_is_of_its_form() -> None:
    assert baseline.load()


def test_a_type_of_resource_that_no_scanner_was_told_of_is_refused() -> None:
    assert services(["aws:ec2/vpc:Vpc", "random:index/randomPassword:RandomPassword"]) == ["ec2", "vpc"]
    with pytest.raises(AuditError, match="aws:sns/topic:Topic"):
        services(["aws:sns/topic:Topic"])
