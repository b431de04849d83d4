"""The commands that documents name: those of their blocks of commands, and those between backticks.

Decisions are left out: they are history, and name what was there when they were taken.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import typer.core
import typer.main
import yaml

from ops.cli import app

ROOT = Path(__file__).parents[1]
WEBSTACK = typer.main.get_command(app)
TABLE = Path(__file__).with_suffix(".yaml")
DOCUMENTS = (*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *sorted((ROOT / "docs").glob("*.md")))

NAME_LENGTHS = {
    **dict.fromkeys(("curl", "df", "dig", "findmnt", "journalctl", "ls", "mysql", "pytest", "tools/lock", "tools/setup"), 1),
    **dict.fromkeys(("apt", "gh", "make", "pre-commit", "pulumi", "systemctl", "webstack-database"), 2),
    **dict.fromkeys(("aws", "python", "uv"), 3),
}
"""Programs that documents tell readers to run besides `webstack`, and how many words name what is run of each."""
PULUMI_GROUPS = ("config", "plugin", "stack", "state")
SHELL = (".", "cat", "eval", "grep", "jq")
"""What only stands around those, and is not looked at."""


@dataclass(frozen=True)
class Command:
    """A command as a document has it.

    `mention`: it stands between backticks in the text, where arguments may be left out. `others`: options that the comment beside it names.
    """

    document: str
    line: int
    words: tuple[str, ...]
    mention: bool = False
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join(self.words)

    @property
    def program(self) -> str:
        return self.words[0]

    @property
    def name(self) -> str:
        """What is run, without options and arguments: `webstack lab up`, `pulumi stack init`, `make test`, `journalctl`."""
        if self.program == "webstack":
            return " ".join(("webstack", *command_path(self.words[1:])))
        length = NAME_LENGTHS.get(self.program, 1) + (self.program == "pulumi" and self.words[1] in PULUMI_GROUPS)
        named = self.words[:length]
        if self.program != "python":  # whose module is an option's value
            named = [word for number, word in enumerate(named) if not any(before.startswith("-") for before in named[: number + 1])]
        return " ".join(named)

    @property
    def options(self) -> tuple[str, ...]:
        """The options, without their values; nothing of what stands behind a `--`."""
        own = self.words[: self.words.index("--")] if "--" in self.words else self.words
        return (*(word.partition("=")[0] for word in own[1:] if re.match(r"--?[a-z]", word)), *self.others)


def documented_commands() -> Iterator[Command]:
    """Every command of every document. Raises ValueError where a line of a block of commands is none that is known here."""
    for path in DOCUMENTS:
        yield from commands_of(path.name, path.read_text())


def commands_of(document: str, text: str) -> Iterator[Command]:
    """Every command of a document's text, block by block and then those between backticks. Raises ValueError."""
    prose = text
    for block in re.finditer(r"(?:^ {4,}\S.*\n?)+", text, re.MULTILINE):
        first = text[: block.start()].count("\n") + 1
        lines = block[0].replace("\\\n", "").splitlines()
        prose = prose.replace(block[0], re.sub(r"[^\n]", " ", block[0]))
        if lines[0].split()[0] in {*NAME_LENGTHS, "webstack", "sudo"}:
            for number, line in enumerate(lines):
                command, _, comment = line.partition(" # ")
                told = re.findall(r"(?:^|: )((?:aws|webstack) .+)$", comment)
                others = () if told else tuple(re.findall(r"--[a-z-]+", comment))
                yield from _commands_of_line(document, first + number, command, others=others)
                yield from _mentioned(document, first + number, comment)
                for other in told:
                    yield from _commands_of_line(document, first + number, other)
    yield from _mentioned(document, 1, prose)


def _mentioned(document: str, first: int, text: str) -> Iterator[Command]:
    """The commands between backticks."""
    programs = "|".join(map(re.escape, (*NAME_LENGTHS, *SHELL, "webstack")))
    for span in re.finditer(r"`([^`]+)`", text):
        line = " ".join(span[1].split())
        if re.match(rf"(?:sudo )?(?:{programs}) ", line):
            # Brackets are round what may be left out, as in `webstack lab status [--json]`.
            number = first + text[: span.start()].count("\n")
            yield from _commands_of_line(document, number, re.sub(r"\[([^\]]+)\]", r"\1", line), mention=True)


def _commands_of_line(document: str, number: int, line: str, *, mention: bool = False, others: tuple[str, ...] = ()) -> Iterator[Command]:
    for inner in re.findall(r"\$\(([^()]+)\)", line):
        yield from _commands_of_line(document, number, inner, mention=mention)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&;|")
    lexer.whitespace_split = True
    for words in _split(list(lexer)):
        words = words[1:] if words[0] == "sudo" else words
        if words[0] in {*NAME_LENGTHS, "webstack"}:
            yield Command(document, number, tuple(words), mention, others)
        elif words[0] not in SHELL:
            raise ValueError(f"{document}:{number}: `{shlex.join(words)}`: no program that tests/documented_commands.py knows")


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    """The commands of a line."""
    command: list[str] = []
    for word in (*words, ";"):
        if re.fullmatch(r"[&;|]+", word):
            if command:
                yield command
            command = []
        else:
            command.append(word)


def command_path(words: Sequence[str]) -> list[str]:
    """The words that name a command of `webstack`, or a group of commands, at the beginning of a line without `webstack`."""
    path: list[str] = []
    group = WEBSTACK
    for word in words:
        if not isinstance(group, typer.core.TyperGroup) or word not in group.commands:
            break
        path.append(word)
        group = group.commands[word]
    return path


def webstack_command(path: Sequence[str]) -> typer.core.TyperCommand | typer.core.TyperGroup:
    """The command, or the group of commands, that these words name."""
    found = WEBSTACK
    for word in path:
        assert isinstance(found, typer.core.TyperGroup)
        found = found.commands[word]
    assert isinstance(found, typer.core.TyperCommand | typer.core.TyperGroup)
    return found


def table() -> dict[str, dict[str, str | list[str]]]:
    """What runs each command, or why no test does: the sections of documented_commands.yaml."""
    return cast("dict[str, dict[str, str | list[str]]]", yaml.safe_load(TABLE.read_text()))
