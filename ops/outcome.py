"""What a command came to, for programs: one JSON object on stdout, whether it went well or not."""

import contextlib
import json
from collections.abc import Generator, Mapping

from lab.errors import LabError


@contextlib.contextmanager
def said(as_json: bool) -> Generator[None]:
    """An error within is printed as JSON too where that is wanted; people get it on stderr in any case, and the status is not zero."""
    try:
        yield
    except LabError as error:
        if as_json:
            print(json.dumps({"ok": False, "error": str(error)}, indent=2))
        raise


def print_success(told: Mapping[str, object]) -> None:
    """Prints what was done."""
    print(json.dumps({"ok": True, **told}, indent=2))
