"""Every command that a document names is understood by its program, and is run by a test or says why none can."""

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator

import pytest
import typer
import typer.core
from botocore.session import Session

from tests.documented_commands import (
    ROOT,
    TABLE,
    WEBSTACK,
    Command,
    command_path,
    commands_of,
    documented_commands,
    table,
    webstack_command,
)
from userdata.render import ROOT as USERDATA

COMMANDS = {str(command): command for command in documented_commands()}
NAMES = {command.name for command in COMMANDS.values()}
RUN = table()["run by"]
REASONS = {**table()["only on AWS"], **table()["only on your own machine"]}
HOST_PROGRAMS = {path.name.removesuffix(".j2") for path in USERDATA.glob("*/usr/local/sbin/*")}
UNITS = {path.name for path in USERDATA.glob("*/etc/systemd/system/webstack*.*")}
SESSION = Session()
CUSTOM_AWS_COMMANDS = ("aws s3 ls",)
"""The AWS CLI's own, which are no calls of the API."""


def webstack_problem(command: Command) -> str:
    path = command_path(command.words[1:])
    found = webstack_command(path)
    rest = list(command.words[1 + len(path) :])
    if isinstance(found, typer.core.TyperGroup):
        return "" if command.mention and not rest else "no such command"
    try:
        found.make_context(" ".join(path), rest)
    except typer.Exit:
        return ""
    except Exception as error:  # typer gives its errors no public names
        return "" if command.mention and type(error).__name__ == "MissingParameter" else str(error)
    known = {option for parameter in found.params for option in parameter.opts}
    return ", ".join(f"no such option: {option}" for option in command.options if option not in known)


def make_problem(command: Command) -> str:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return "" if command.words[1] in targets else "no such target"


def aws_problem(command: Command) -> str:
    """The line held against the API's model, as the AWS CLI does it: `--volume-id` is the parameter VolumeId."""
    if command.name in CUSTOM_AWS_COMMANDS:
        return ""
    _, service, operation, *_ = command.words
    model = SESSION.get_service_model("s3" if service == "s3api" else service)
    if (wanted := operation.replace("-", "").casefold()) not in (calls := {name.casefold(): name for name in model.operation_names}):
        return "no such call"
    shape = model.operation_model(calls[wanted]).input_shape
    known = {name.casefold() for name in shape.members} if shape is not None else set[str]()
    given = [option for option in command.options if option not in ("--output", "--query", "--region")]
    return ", ".join(f"no such parameter: {option}" for option in given if option.replace("-", "").casefold() not in known)


def module_problem(command: Command) -> str:
    return "" if importlib.util.find_spec(f"{command.words[2]}.__main__") else "no such program"


def tool_problem(command: Command) -> str:
    text = (ROOT / command.program).read_text()
    return ", ".join(f"no such option: {option}" for option in command.options if option not in text)


def pytest_problem(command: Command) -> str:
    return ", ".join(f"no such file: {word}" for word in command.words[1:] if not (ROOT / word).is_file())


def host_program_problem(command: Command) -> str:
    [sources] = USERDATA.glob(f"*/usr/local/lib/webstack/{command.program.removeprefix('webstack-')}_role/cli.py")
    return "" if f'"{command.words[1]}"' in sources.read_text() else "no such command"


def unit_problem(command: Command) -> str:
    """systemctl's and journalctl's units that are the stack's own."""
    stems = {unit.rpartition(".")[0] for unit in UNITS} | HOST_PROGRAMS
    named = [word for word in command.words if word.startswith("webstack-")]
    return ", ".join(f"no such unit: {unit}" for unit in named if unit not in stems | UNITS)


CHECKS: dict[str, Callable[[Command], str]] = {
    "webstack": webstack_problem,
    "make": make_problem,
    "aws": aws_problem,
    "python": module_problem,
    "tools/setup": tool_problem,
    "pytest": pytest_problem,
    "webstack-database": host_program_problem,
    "journalctl": unit_problem,
    "systemctl": unit_problem,
}
"""What is wrong with a command line, without running it; empty where nothing is. tests/aws/test_cli.py asks Pulumi's CLI about Pulumi's."""


@pytest.mark.parametrize("command", [command for command in COMMANDS.values() if command.program in CHECKS], ids=str)
def test_a_documented_command_line_is_understood(command: Command) -> None:
    assert CHECKS[command.program](command) == "", f"{command.document}:{command.line}"


def test_every_documented_command_is_run_by_a_test_or_says_why_none_can() -> None:
    known = {*RUN, *REASONS, *(name for name, one in below(WEBSTACK, "webstack") if isinstance(one, typer.core.TyperGroup))}
    missing = {f"{command.document}:{command.line}: {command.name}" for command in COMMANDS.values() if command.name not in known}
    assert missing == set(), f"name the test that runs it under `run by` in tests/{TABLE.name}, or why none can under `only on …`"


def test_the_table_names_no_command_that_no_document_has_any_more() -> None:
    assert {*RUN, *REASONS} - NAMES == set()
    assert set(RUN) & set(REASONS) == set()


def below(command: object, *path: str) -> Iterator[tuple[str, object]]:
    """A command of `webstack` and all below it, by their names."""
    yield " ".join(path), command
    if isinstance(command, typer.core.TyperGroup):
        for name, one in command.commands.items():
            yield from below(one, *path, name)


def named_tests(name: str) -> list[str]:
    given = RUN[name]
    return [given] if isinstance(given, str) else given


@pytest.mark.parametrize("name", RUN)
def test_the_tests_that_the_table_names_exist_and_give_the_options_that_documents_give(name: str) -> None:
    """A test that takes its commands from the documents has all of their words."""
    texts = ""
    for node in named_tests(name):
        file, _, function = node.partition("::")
        text = (ROOT / file).read_text()
        assert function in {found.name for found in ast.walk(ast.parse(text)) if isinstance(found, ast.FunctionDef)}, node
        texts += text
    if "documented_commands" in texts:
        return
    options = {option for command in COMMANDS.values() if command.name == name for option in command.options}
    words = {name.split()[-1], *(option for option in options if option.startswith("--"))}
    absent = sorted(word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", texts))
    assert absent == [], f"none of the tests named for `{name}` has these words: name one that has"


def test_every_command_of_webstack_is_in_a_document() -> None:
    assert {name for name, command in below(WEBSTACK, "webstack") if not isinstance(command, typer.core.TyperGroup)} - NAMES == set()


def test_programs_and_units_of_hosts_that_documents_name_exist() -> None:
    texts = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"`(webstack-[a-z-]+(?:\.(?:service|timer|target))?)`", texts))
    stems = {unit.rpartition(".")[0] for unit in UNITS} | HOST_PROGRAMS
    assert named
    assert named - stems - UNITS == set()


def test_what_targets_of_the_makefile_run_exists() -> None:
    recipes = re.findall(r"^\t@?(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    lines = [re.sub(r"^(?:\.venv/bin/|\$\((?=PYTHON))", "", line).replace("PYTHON)", "python") for line in recipes]
    [up] = [line for line in lines if line.startswith("webstack ")]
    assert webstack_problem(Command("Makefile", 0, tuple(up.split()))) == ""
    for line in lines:
        for path in re.findall(r"(?:^| )((?:tools|tests)/\w+)", line):
            assert (ROOT / path).exists(), line
        for option in re.findall(r"^tools/setup (--\S+)", line):
            assert tool_problem(Command("Makefile", 0, ("tools/setup", option))) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("    webstack lab kill\n", "Missing parameter: host"),
        ("    webstack lab kill web-1 --yes\n", "No such option"),
        ("    webstack lab status web-1\n", "unexpected extra argument"),
        ("    webstack lab status     # or --jason\n", "no such option: --jason"),
        ("    webstack lab reboot web-1\n", "no such command"),
        ("Type `webstack lab up --sett web.count=3`.", "No such option"),
        ("Type `webstack lab up [--sett web.count=3]`.", "No such option"),
        ('    curl -k "$(webstack lab url --apis)"\n', "No such option"),
        ("    make laboratory && webstack lab status\n", "no such target"),
        ("    aws ec2 create-snapshot --volume-ids x\n", "no such parameter: --volume-ids"),
        ("    aws ec2 make-snapshot\n", "no such call"),
        ("    journalctl -u webstack-appp\n", "no such unit: webstack-appp"),
        ("    sudo webstack-database reseat\n", "no such command"),
        ("Type `tools/setup --everything`.", "no such option: --everything"),
    ],
)
def test_a_command_line_that_is_wrong_is_seen_wherever_it_stands(text: str, problem: str) -> None:
    problems = [CHECKS[command.program](command) for command in commands_of("some.md", text) if command.program in CHECKS]
    assert any(problem in found for found in problems), problems


def test_a_mention_may_leave_arguments_out_and_a_block_s_line_may_be_continued() -> None:
    text = "See `webstack lab kill`.\n\n    webstack lab up --set \\\n      web.count=3 && make lab # `make test` too\n"
    found = list(commands_of("some.md", text))
    assert [str(command) for command in found] == ["webstack lab up --set web.count=3", "make lab", "make test", "webstack lab kill"]
    assert [CHECKS[command.program](command) for command in found] == [""] * 4
    with pytest.raises(ValueError, match="`frobnicate now`"):
        list(commands_of("some.md", "    make lab\n    frobnicate now\n"))
