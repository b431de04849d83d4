"""The table of controls in docs/security.md: what is called ours is shown by a file, and what is not done has its reason."""

import re

import pytest

from tests.unit.sources import ROOT

WHO = ("ours", "the account's", "yours", "not here")
STANDARDS = {"SEC": range(1, 12), "CIS": range(1, 6), "V": range(1, 15)}
"""How many parts each has: the pillar's questions, the benchmark's sections, ASVS's chapters."""
NOT_OF_A_SITE = {"V1": "architecture: this document"}


def controls() -> list[list[str]]:
    section = (ROOT / "docs" / "security.md").read_text().partition("\n## Controls")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")][2:]


CONTROLS = controls()


@pytest.mark.parametrize("control", CONTROLS, ids=lambda row: row[0][:50])
def test_a_control_is_somebodys_and_says_why(control: list[str]) -> None:
    _, who, what = control
    assert who in WHO
    files = re.findall(r"`([\w./-]+/[\w./-]+)`", what)
    assert [name for name in files if not (ROOT / name).is_file()] == []
    if who == "ours":
        assert files, "which file shows it"
    else:
        assert len(what) > 12, "why it is not done here"


def parts(standard: str, text: str) -> set[int]:
    """The parts of a standard that are named in brackets: `(SEC 1, 2; CIS 1)`, `(V2.1)`."""
    found: set[int] = set()
    for group in re.findall(r"\(([^)]*)\)", text):
        for part in re.split(r";\s*", group):
            if match := re.fullmatch(rf"{standard} ?([\d., V]+)", part.strip()):
                found |= {int(number.strip().lstrip("V").split(".")[0]) for number in match[1].split(",")}
    return found


@pytest.mark.parametrize("standard", STANDARDS)
def test_every_part_of_each_standard_is_answered(standard: str) -> None:
    named = {number for control in CONTROLS for number in parts(standard, control[0])}
    missing = [f"{standard}{number}" for number in STANDARDS[standard] if number not in named]
    assert [part for part in missing if part not in NOT_OF_A_SITE] == []


def test_parts_are_read_as_they_are_written() -> None:
    assert parts("SEC", "x (SEC 1, 2; CIS 1)") == {1, 2}
    assert parts("V", "x (SEC 6, 11; V10, V14.4)") == {10, 14}
