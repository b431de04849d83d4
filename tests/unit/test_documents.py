"""The documents say what is so: the configuration reference is the models', and what they name exists."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ops.cli import app
from stack.settings import reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_the_readmes_reference_is_that_of_the_models() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    documented = [line for line in lines if line.startswith("| `webstack:")]
    assert documented == [f"| `{key}` | {f'`{default}`' if default else ''} | {meaning} |" for key, default, meaning in reference()]


def test_every_object_of_the_reference_is_declared_with_a_description() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(declared) == {key.partition(".")[0] for key, _, _ in reference()}
    for name, schema in declared.items():
        assert schema["type"] == "object", name
        for key, _, _ in reference():
            if key.startswith(f"{name}."):
                assert key.removeprefix(f"{name}.").split(".")[0] in schema["description"], f"{key} is missing from Pulumi.yaml"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_in_documents_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", document.read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_webstack_commands_in_documents_exist(document: Path) -> None:
    help_text = CliRunner().invoke(app, ["lab", "--help"]).output
    for command in set(re.findall(r"webstack lab ([a-z]+)", document.read_text())):
        assert re.search(rf"\b{command}\b", help_text), f"{document.name} names `webstack lab {command}`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_in_documents_exist(document: Path) -> None:
    text = document.read_text()
    named = set(re.findall(r"`((?:stack|userdata|app|lab|ops|tests|docs|tools|benchmarks|audit)/[\w./-]+)`", text))
    linked = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    missing = [path for path in named if not (ROOT / path).exists()] + [path for path in linked if not (document.parent / path).exists()]
    assert missing == []
