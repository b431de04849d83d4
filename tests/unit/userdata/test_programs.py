"""The programs under sbin: no type checker reads them, as their names end in nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from userdata.render import ROOT

PROGRAMS = sorted(
    path for path in ROOT.glob("*/usr/local/sbin/*") if path.suffix == "" and path.read_text().startswith("#!/usr/bin/python3")
)
LIBRARIES = [ROOT / tree / "usr/local/lib/webstack" for tree in ("common", "database", "load_balancer", "web")]


def imported(path: Path) -> Iterator[tuple[Path, str]]:
    """Each name that a program imports of this project's libraries, with the module's file or the package's folder."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = node.module.replace(".", "/")
            for library in LIBRARIES:
                for place in (library / f"{module}.py", library / module):
                    if place.exists():
                        yield from ((place, name.name) for name in node.names)


def defined(module: Path) -> set[str]:
    """What a module defines by `def`, `class` or an assignment; the modules of a package."""
    if module.is_dir():
        return {path.stem for path in module.glob("*.py")}
    body = ast.parse(module.read_text()).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return functions | {
        target.id for node in body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)
    }


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_what_a_program_imports_is_there(path: Path) -> None:
    found = list(imported(path))
    assert found, "it runs something of ours"
    assert [(module.name, name) for module, name in found if name not in defined(module)] == []
