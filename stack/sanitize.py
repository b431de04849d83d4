"""What others say, made fit to be shown: a host writes its own record, and an application its own answers.

A terminal obeys control characters (a title, colours, a cursor that goes back over what was said), and a CI job's log obeys commands that
programs print into it: GitHub's runner takes `::error::…` at the beginning of a line, after blanks too, and `##[error]…` anywhere in one
(TryParseV2 and TryParse in ActionCommand.cs of github.com/actions/runner); Azure's agent takes `##vso[…]`, TeamCity `##teamcity[…]`.
Where a line begins is not known here, as a paragraph is folded at the width of its reader: so no such command is left anywhere.
"""

import re
from collections.abc import Iterable
from typing import Final

MAX_LENGTH: Final = 1000
"""Characters of one text that are shown."""

_CI_COMMAND = re.compile(r":(?=:[A-Za-z])|#(?=#\w*\[)")
"""The first character of what begins a command; a blank behind it makes it none."""


def sanitize(text: str, *, max_length: int = MAX_LENGTH) -> str:
    """One line of printable characters: blanks of every kind are spaces, what else is not printable is written as Python escapes it
    (`\\x1b`), CI commands are taken apart (`: :error: :`), and what is longer than `max_length` ends in `…`. Twice is as once."""
    shown = _CI_COMMAND.sub(lambda found: f"{found[0]} ", "".join(map(_escape, text[: max_length + 1])))
    return shown if len(shown) <= max_length else f"{shown[: max_length - 1]}…"


def sanitize_lines(texts: Iterable[str], *, last: int) -> tuple[str, ...]:
    """The `last` lines of texts that may have several, such as a unit's log; each printable."""
    return tuple(sanitize(line) for line in [line for text in texts for line in text.splitlines()][-last:])


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode()
