"""The documents say what is so: tables are the code's, and what is named exists."""

import re
from pathlib import Path

import pytest
import yaml

from stack.settings import reference_rows
from tests.doc_tables import ROOT, TABLES, table_lines

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", TABLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_table_is_what_the_code_says(path: Path) -> None:
    assert table_lines(path) == TABLES[path](), "`make docs` writes it anew"


def test_the_index_leads_to_every_document() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_every_object_of_the_reference_is_declared_with_a_description() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(declared) == {key.partition(".")[0] for key, _, _ in reference_rows()}
    for name, schema in declared.items():
        assert schema["type"] == "object", name
        for key, _, _ in reference_rows():
            if key.startswith(f"{name}."):
                assert key.removeprefix(f"{name}.").split(".")[0] in schema["description"], f"{key} is missing from Pulumi.yaml"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_in_documents_exist(document: Path) -> None:
    text = document.read_text()
    named = set(re.findall(r"`((?:stack|userdata|app|lab|ops|tests|docs|tools|benchmarks|audit)/[\w./-]+)`", text))
    linked = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    missing = [path for path in named if not (ROOT / path).exists()] + [path for path in linked if not (document.parent / path).exists()]
    assert missing == []
