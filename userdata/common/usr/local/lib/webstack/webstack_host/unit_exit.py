"""Finds out how the last run of a unit ended and what its program logged, from the journal, which keeps both after the next run has begun.

systemd's own messages have ids (systemd, src/systemd/sd-messages.h) and describe the event in fields
(https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html); `INVOCATION_ID=` names the run. A program's own lines
have one too, but under RestartMode=direct always that of the first run (seen with systemd 257), so lines are assigned to a run by their
position between systemd's messages.
"""

import json
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from webstack_host.run import run

FAILED_MESSAGE_ID = "d9b373ed55a64feb8242e02dbe79a49c"  # SD_MESSAGE_UNIT_FAILURE_RESULT
SUCCEEDED_MESSAGE_ID = "7ad2d189f7e94e70a38c781354912448"  # SD_MESSAGE_UNIT_SUCCESS
EXITED_MESSAGE_ID = "98e322203f7a4ed290d09fe03c09fe15"  # SD_MESSAGE_UNIT_PROCESS_EXIT

MAX_ENTRIES = 600
"""The journal lines that are read: several runs of a verbose program."""
MAX_LINES = 18
"""The most lines of a run that are published."""
MAX_LINE_LENGTH = 400
"""The most characters of a line that are published."""
MAX_FRAMES = 3
"""The number of a traceback's last frames that are published."""

_TRACEBACK_START = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s+File "(?P<file>[^"]*)", line \d+')
_MARKS = re.compile(r"[\s~^]*")
_CHAINED_PREFIXES = ("During handling of the above", "The above exception was")


@dataclass(frozen=True, kw_only=True)
class UnitExit:
    """The end of a unit's run. `result` is systemd's: exit-code, signal, timeout, …; empty if unknown."""

    result: str = ""
    description: str = "its log says nothing of why"
    lines: list[str] = field(default_factory=list[str])
    cause: str = ""
    """The line that names the error, if any."""


def last_exit(unit: str) -> UnitExit:
    """Returns the end of the unit's last completed run in this boot."""
    fields = "MESSAGE,MESSAGE_ID,UNIT,UNIT_RESULT,EXIT_CODE,EXIT_STATUS,INVOCATION_ID"
    command = ["journalctl", "--boot", "--quiet", "--no-pager", "--output=json", f"--output-fields={fields}"]
    entries = list(_entries(run([*command, f"--lines={MAX_ENTRIES}", "--unit", unit], check=False).stdout))
    ended = [entry for entry in entries if entry.get("MESSAGE_ID") in (FAILED_MESSAGE_ID, SUCCEEDED_MESSAGE_ID)]
    if not ended:
        return UnitExit()
    last = ended[-1]
    run_entries = _run(entries, last.get("INVOCATION_ID"))
    exits = [entry for entry in run_entries if entry.get("MESSAGE_ID") == EXITED_MESSAGE_ID]
    messages = [_text(entry.get("MESSAGE")) for entry in run_entries if "UNIT" not in entry]
    lines = [line.rstrip()[:MAX_LINE_LENGTH] for text in messages for line in text.splitlines() if line.strip()]
    result = _text(last.get("UNIT_RESULT")) if last["MESSAGE_ID"] == FAILED_MESSAGE_ID else "success"
    return UnitExit(result=result, description=_describe(result, exits), lines=summarize_log(lines), cause=cause(lines))


def _run(entries: Sequence[dict[str, Any]], invocation: object) -> Sequence[dict[str, Any]]:
    """Returns the entries from the first message about this run to the first about the next."""
    about = [(place, entry["INVOCATION_ID"]) for place, entry in enumerate(entries) if "INVOCATION_ID" in entry]
    first = next(place for place, run_id in about if run_id == invocation)
    return entries[first : next((place for place, run_id in about if place > first and run_id != invocation), len(entries))]


def cause(lines: Sequence[str]) -> str:
    """Returns the error of the last traceback, or else the last line."""
    errors = [line for block in _tracebacks(lines) for line in block[-1:]]
    return errors[-1] if errors else next(reversed(lines), "")


def summarize_log(lines: Sequence[str]) -> list[str]:
    """Returns the last lines, with only the error and the nearest frames of each traceback, and no frames of the import system."""
    kept: list[str] = []
    frames: list[list[str]] = []
    inside = False
    for line in lines:
        if line == _TRACEBACK_START:
            inside, frames = True, []
        elif inside and line.startswith(" "):
            if _FRAME.match(line):
                frames.append([line])
            elif frames and not _MARKS.fullmatch(line):
                frames[-1].append(line)
        else:
            if inside:
                inside = False
                kept += [part for frame in [one for one in frames if "<frozen " not in one[0]][-MAX_FRAMES:] for part in frame]
            if not line.startswith(_CHAINED_PREFIXES):
                kept.append(line)
    return kept[-MAX_LINES:]


def _tracebacks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yields each traceback up to the first line of its error."""
    block: list[str] | None = None
    for line in lines:
        if line == _TRACEBACK_START:
            block = []
        elif block is not None:
            block.append(line)
            if not line.startswith(" "):
                yield block
                block = None


def _describe(result: str, exits: Sequence[dict[str, Any]]) -> str:
    """Describes how a run ended."""
    words = {"timeout": "it took too long", "watchdog": "it no longer gave a sign of life", "oom-kill": "out of memory"}
    words |= {"resources": "systemd could not start it", "protocol": "it ended before it was ready"}
    if result in words:
        return words[result]
    code, status = (_text(exits[-1].get(name)) for name in ("EXIT_CODE", "EXIT_STATUS")) if exits else ("", "")
    if code == "exited":
        return f"exit code {status}"
    if code in ("killed", "dumped"):
        return f"killed by {_signal_name(status)}"
    return result or "it ended"


def _signal_name(number: str) -> str:
    try:
        return signal.Signals(int(number)).name
    except ValueError:
        return f"signal {number}"


def _entries(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            entry: object = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield cast("dict[str, Any]", entry)


def _text(value: object) -> str:
    """Returns a field's text. journalctl gives a list of bytes for invalid UTF-8, and null for a value that is too long."""
    if isinstance(value, list):
        return bytes(cast("Iterable[int]", value)).decode(errors="replace")
    return "" if value is None else str(value)
