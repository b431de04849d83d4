"""The one of several words that a mistyped one most likely means."""

import difflib
import re
from collections.abc import Iterable


def closest_match(value: object, options: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The option that is the same but for case and marks, else the shortest that begins so, else the most similar; None where none is."""
    if not isinstance(value, str):
        return None
    plain = {_normalize(option): option for option in options}
    word = _normalize(value)
    if word in plain:
        return plain[word]
    begins = [option for key, option in plain.items() if word and key.startswith(word)]
    if begins:
        return min(begins, key=len)
    similar = difflib.get_close_matches(word, plain, n=1, cutoff=cutoff)
    return plain[similar[0]] if similar else None


def _normalize(text: str) -> str:
    return re.sub(r"[\s_-]", "", text).casefold()
