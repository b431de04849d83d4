"""Tables in documents that the code knows better: `make docs` writes them anew, and the tests compare."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from stack.settings import reference
from tests.changes.table import document as changes

ROOT = Path(__file__).parents[1]
DECISIONS = ROOT / "docs" / "decisions"


def settings() -> list[str]:
    """Every setting, as `docs/configuration.md` lists it."""
    rows = [f"| `{key}` | {f'`{default}`' if default else ''} | {meaning} |" for key, default, meaning in reference()]
    return ["| key | default | meaning |", "|---|---|---|", *rows]


def decisions() -> list[str]:
    """Every decision by what its file says of itself: number and title, then date and status."""
    return ["| | decision | date | status |", "|---|---|---|---|", *_decisions()]


def _decisions() -> Iterator[str]:
    for path in sorted(DECISIONS.glob("[0-9]*.md")):
        found = re.match(r"# (\d{4}) (.+)\n\n(\d{4}-\d\d-\d\d), (.+)\n", path.read_text())
        if found is None or not path.name.startswith(found[1]):
            raise ValueError(f"{path.name} does not begin with `# NUMBER TITLE`, an empty line and `DATE, STATUS`")
        yield f"| [{found[1]}]({path.name}) | {found[2]} | {found[3]} | {found[4]} |"


TABLES: dict[Path, Callable[[], list[str]]] = {
    ROOT / "docs" / "configuration.md": settings,
    ROOT / "docs" / "changes.md": changes,
    DECISIONS / "README.md": decisions,
}
"""Documents with one table, which is made from the code."""


def table(path: Path) -> list[str]:
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
