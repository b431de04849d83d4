"""How the last run of a unit ended and what its program said: from the journal, where both stay when the next run has begun.

systemd's own messages have ids (systemd, src/systemd/sd-messages.h) and carry what happened as fields
(https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html); they name the run they are about by
`INVOCATION_ID=`. A program's own lines name one as well, but under RestartMode=direct always the first (seen with systemd 257), so
what counts is between which of systemd's messages they stand.
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
"""Lines of the journal that are looked at: some runs of a program that says much."""
MAX_LINES = 18
"""Lines of a run that are told at most."""
MAX_LINE_LENGTH = 400
"""Characters of a line that are told at most."""
MAX_FRAMES = 3
"""The last frames of a traceback are told."""

_TRACEBACK_START = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s+File "(?P<file>[^"]*)", line \d+')
_MARKS = re.compile(r"[\s~^]*")
_CHAINED_PREFIXES = ("During handling of the above", "The above exception was")


@dataclass(frozen=True, kw_only=True)
class UnitExit:
    """The end of a unit's run. `result` is systemd's word for it: exit-code, signal, timeout, …, empty where nothing is known."""

    result: str = ""
    description: str = "its log says nothing of why"
    lines: list[str] = field(default_factory=list[str])
    cause: str = ""
    """The line that names the error, where there is one."""


def last_exit(unit: str) -> UnitExit:
    """The end of the unit's last run that has ended in this boot."""
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
    """From the first message about this run to the first about the next one."""
    about = [(place, entry["INVOCATION_ID"]) for place, entry in enumerate(entries) if "INVOCATION_ID" in entry]
    first = next(place for place, run_id in about if run_id == invocation)
    return entries[first : next((place for place, run_id in about if place > first and run_id != invocation), len(entries))]


def cause(lines: Sequence[str]) -> str:
    """The error that the last traceback ends with, else the last line."""
    errors = [line for block in _tracebacks(lines) for line in block[-1:]]
    return errors[-1] if errors else next(reversed(lines), "")


def summarize_log(lines: Sequence[str]) -> list[str]:
    """The last lines, of each traceback the error and the frames nearest to it; none of the interpreter's own import machinery."""
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
    """Each traceback up to the first line of its error."""
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
    """How a run ended, in words."""
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
    """A field: what is no UTF-8 comes as a list of bytes, what is too long as null."""
    if isinstance(value, list):
        return bytes(cast("Iterable[int]", value)).decode(errors="replace")
    return "" if value is None else str(value)
