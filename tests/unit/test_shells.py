"""No value becomes part of a shell's text, and no file has a name in a shared folder that another user can foresee.

A shell that is needed gets its values as arguments (`sh -c 'text' sh VALUE`), where they are words and never syntax.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.unit.sources import ROOT, ast_nodes, python_sources, text_files

SHELLS = ("sh", "bash", "/bin/sh", "/bin/bash")
BY_A_SHELL = ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell")
FORESEEABLE = ("tempfile.mktemp", "tempfile.gettempdir")
SHARED = re.compile(r"(?<![\w.])/(?:var/tmp|tmp|dev/shm)/\w")

AS_PART_OF_A_TEXT = {
    # The number of a process, as the kernel gave it: five digits.
    "userdata/common/usr/local/sbin/webstack-await-apt.j2": "subprocess.getoutput(f'ps -o comm= {pid}')",
}


def calls(source: str, names: tuple[str, ...]) -> list[str]:
    return [text for node in ast_nodes(source) if isinstance(node, ast.Call) and (text := ast.unparse(node.func)) in names]


def by_a_shell(source: str) -> list[str]:
    """Calls whose command line a shell reads."""
    keywords = [
        ast.unparse(node)
        for node in ast_nodes(source)
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    return keywords + calls(source, BY_A_SHELL)


def made_of_values(source: str) -> Iterator[str]:
    """The texts behind a shell's `-c` that are put together when the program runs."""
    for node in ast_nodes(source):
        words = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.List | ast.Tuple) else []
        for shell, option, text in zip(words, words[1:], words[2:], strict=False):
            if _is(shell, SHELLS) and _is(option, ("-c", "-ec")) and not isinstance(text, ast.Constant | ast.Name):
                yield ast.unparse(text)


def _is(node: ast.expr, texts: tuple[str, ...]) -> bool:
    return isinstance(node, ast.Constant) and node.value in texts


def named_texts(source: str) -> Iterator[str]:
    """The same, where the text stands in a name: what the name is given."""
    given = {
        target.id: node.value
        for node in ast_nodes(source)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast_nodes(source):
        words = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.List | ast.Tuple) else []
        for shell, option, text in zip(words, words[1:], words[2:], strict=False):
            named = _is(shell, SHELLS) and _is(option, ("-c", "-ec")) and isinstance(text, ast.Name)
            if named and isinstance(text, ast.Name) and not isinstance(given.get(text.id), ast.Constant):
                yield text.id


def test_no_command_line_is_read_by_a_shell() -> None:
    found = {path.relative_to(ROOT).as_posix(): found for path, source in python_sources() if (found := by_a_shell(source))}
    assert found == {}


def test_no_text_of_a_shell_is_made_of_values() -> None:
    """Tests may: their values are their own."""
    found = {
        path.relative_to(ROOT).as_posix(): found
        for path, source in python_sources(tests=False)
        if (found := [*made_of_values(source), *named_texts(source)])
    }
    assert found == {}


def test_a_template_of_a_program_has_no_shell_but_the_known_one() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): said
        for path, text in text_files()
        if path.suffix == ".j2" and (said := re.findall(r"[\w.]*getoutput\(.*?'\)|[\w.]*popen\(.*|os\.system\(.*|.*shell=True.*", text))
    }
    assert found == {path: [text] for path, text in AS_PART_OF_A_TEXT.items()}


@pytest.mark.parametrize(
    "source",
    [
        "subprocess.run(line, shell=True)",
        "os.system(f'touch {name}')",
        "subprocess.getoutput('ls')",
    ],
)
def test_a_shell_is_found(source: str) -> None:
    assert by_a_shell(source)


@pytest.mark.parametrize("source", ["run(['sh', '-c', f'touch {name}'])", "run(*lead, 'bash', '-c', 'touch ' + name)"])
def test_a_text_made_of_values_is_found(source: str) -> None:
    assert list(made_of_values(source))


def test_a_named_text_made_of_values_is_found() -> None:
    assert list(named_texts("script = f'touch {name}'\nrun(['sh', '-c', script])")) == ["script"]
    assert list(named_texts("script = 'touch $1'\nrun(['sh', '-c', script, 'sh', name])")) == []


def test_no_program_names_a_file_in_a_folder_that_others_write_to() -> None:
    """Another user could put a link, or a module for Python to import, where it will be. `tempfile` makes names that nobody foresees."""
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path, text in text_files()
        if not path.is_relative_to(ROOT / "tests")
        and path.suffix != ".md"
        and (lines := [line for line in text.splitlines() if SHARED.search(line)])
    }
    assert found == {}
    for path, source in python_sources():
        assert calls(source, FORESEEABLE) == [], path


@pytest.mark.parametrize("text", ["log=/tmp/webstack-setup.$$.log", 'Path("/var/tmp/x")', 'open("/dev/shm/a")'])
def test_such_a_name_is_found(text: str) -> None:
    assert SHARED.search(text.replace("$$", "1"))
