"""What others say reaches a terminal and a CI job's log as text, and as nothing that those obey."""

import re
import textwrap

import pytest

from stack.sanitize import MAX_LENGTH, sanitize, sanitize_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("serves the app: 5 ms, ü → 日本", "serves the app: 5 ms, ü → 日本"),
        ("2001:db8::1 ::1 a:b C:\\x", "2001:db8::1 ::1 a:b C:\\x"),
        ("a\tb\u00a0c\u2028d\x85e", "a b c d e"),
        ("\x1b[2J\x07\x00\x7f\x9b31m", r"\x1b[2J\x07\x00\x7f\x9b31m"),
        ("\u202e\u200b\ufeff\U000e0041\ud83d", r"\u202e\u200b\ufeff\U000e0041\ud83d"),
        ("::error file=x::y", ": :error file=x: :y"),
        ("##[group]x ##vso[task.setvariable]y ##teamcity[z]", "# #[group]x # #vso[task.setvariable]y # #teamcity[z]"),
        ("## heading #[x]", "## heading #[x]"),
    ],
)
def test_text_stays_and_what_is_obeyed_does_not(text: str, shown: str) -> None:
    assert sanitize(text) == shown
    assert sanitize(shown) == shown, "twice is as once"


@pytest.mark.parametrize("blanks", range(100))
def test_no_line_of_a_folded_paragraph_is_a_command(blanks: int) -> None:
    given = sanitize(f"{'x' * blanks}:::::error::{'y' * 40} ::warning::z\r\n::add-mask::*\n  ::stop-commands::t {'x' * blanks}###[error]z")
    for line in textwrap.wrap(given, 60):
        assert not re.match(r"\s*::[A-Za-z]", line)
        assert "##[" not in line


def test_lines_are_kept_where_they_are_meant_and_the_last_tell() -> None:
    assert sanitize_lines(["a\r\nb\x1b", "", "::error::c"], last=2) == (r"b\x1b", ": :error: :c")


def test_what_is_longer_is_cut() -> None:
    assert sanitize("x" * MAX_LENGTH) == "x" * MAX_LENGTH
    assert sanitize("x" * 10_000_000) == "x" * (MAX_LENGTH - 1) + "…"
    assert sanitize("\x1b" * MAX_LENGTH) == (r"\x1b" * MAX_LENGTH)[: MAX_LENGTH - 1] + "…"
