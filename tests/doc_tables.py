"""Tables in documents that the code knows better: `make docs` writes them anew, and the tests compare."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from stack.settings import reference_rows
from tests.changes.table import document as changes

ROOT = Path(__file__).parents[1]
DECISIONS = ROOT / "docs" / "decisions"


def settings_table() -> list[str]:
    """Every setting, as `docs/configuration.md` lists it."""
    rows = [f"| `{key}` | {f'`{default}`' if default else ''} | {meaning} |" for key, default, meaning in reference_rows()]
    return ["| key | default | meaning |", "|---|---|---|", *rows]


def decisions_table() -> list[str]:
    """Every decision by what its file says of itself: number and title, then date and status."""
    return ["| | decision | date | status |", "|---|---|---|---|", *_decision_rows()]


def _decision_rows() -> Iterator[str]:
    for path in sorted(DECISIONS.glob("[0-9]*.md")):
        found = re.match(r"# (\d{4}) (.+)\n\n(\d{4}-\d\d-\d\d), (.+)\n", path.read_text())
        if found is None or not path.name.startswith(found[1]):
            raise ValueError(f"{path.name} does not begin with `# NUMBER TITLE`, an empty line and `DATE, STATUS`")
        yield f"| [{found[1]}]({path.name}) | {found[2]} | {found[3]} | {found[4]} |"


PACKAGES = ("app", "userdata", "stack", "lab", "ops", "audit", "benchmarks")
"""From the lowest up: each may import what stands before it."""
HOST_PACKAGES = frozenset(path.name for path in ROOT.glob("userdata/*/usr/local/lib/webstack/*") if path.is_dir())
"""The packages in the trees of `userdata`: part of it."""


def imports_table() -> list[str]:
    """How many imports lead from one package of the repository to another, as `docs/architecture.md` shows it."""
    counts = {(upper, lower): 0 for upper in PACKAGES for lower in PACKAGES}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for found in _imported(path):
                name = "userdata" if found in HOST_PACKAGES else found
                if name != package and name in PACKAGES:
                    counts[package, name] += 1
    rows = [[package, *(str(counts[package, other] or "") if other != package else "·" for other in PACKAGES)] for package in PACKAGES]
    return [
        f"| imports of | {' | '.join(PACKAGES)} |",
        "|---" * (len(PACKAGES) + 1) + "|",
        *(f"| **{name}** | {' | '.join(cells)} |" for name, *cells in rows),
    ]


def _imported(path: Path) -> Iterator[str]:
    """The package of each of a file's absolute imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)


TABLES: dict[Path, Callable[[], list[str]]] = {
    ROOT / "docs" / "configuration.md": settings_table,
    ROOT / "docs" / "changes.md": changes,
    ROOT / "docs" / "architecture.md": imports_table,
    DECISIONS / "README.md": decisions_table,
}
"""Documents with one table, which is made from the code."""


def table_lines(path: Path) -> list[str]:
    """The lines of a document's table."""
    return [line for line in path.read_text().splitlines() if line.startswith("|")]


def main() -> None:
    """Writes the tables anew."""
    for path, rows in TABLES.items():
        lines = path.read_text().splitlines()
        first = next(number for number, line in enumerate(lines) if line.startswith("|"))
        kept = [line for line in lines if not line.startswith("|")]
        path.write_text("\n".join([*kept[:first], *rows(), *kept[first:]]) + "\n")


if __name__ == "__main__":
    main()
