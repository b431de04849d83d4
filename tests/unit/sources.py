"""The project's own sources, for tests that read them."""

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "audit", "benchmarks", "lab", "ops", "stack", "tests", "tools", "userdata")


@functools.cache
def text_files() -> Iterable[tuple[Path, str]]:
    """Every file of the project's folders that is text, and those beside them."""
    return tuple(_read_text_files())


def _read_text_files() -> Iterator[tuple[Path, str]]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*"))
    for path in sorted(files):
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def python_sources(*, tests: bool = True) -> Iterator[tuple[Path, str]]:
    """Every Python source: modules, and programs that say so in their first line. No templates: they are Python once rendered."""
    for path, text in text_files():
        ours = path.suffix == ".py" or (path.suffix == "" and text.startswith("#!") and "python" in text.partition("\n")[0])
        if ours and (tests or not path.is_relative_to(ROOT / "tests")):
            yield path, text


@functools.cache
def ast_nodes(source: str) -> tuple[ast.AST, ...]:
    """Everything in a Python source, as `ast.walk` gives it."""
    return tuple(ast.walk(ast.parse(source)))
