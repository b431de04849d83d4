"""What would run in a shell is refused wherever a setting or a name is taken, and nothing of it runs."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.engine.workspace import Setting, SettingError, stack_names, write_workspace
from lab.names import LabNameError, LabNames
from stack.settings import reference_rows
from tests.unit.stack.conftest import REPOSITORY
from tests.unit.stack.test_configuration import problem_keys, sections

HOSTILE = ["$(touch x)", "`touch x`", "a;touch x", "a\ntouch x", "../x", "-x"]
KEYS = [key.removeprefix("webstack:") for key, _, _ in reference_rows()]


def with_value(key: str, value: object) -> dict[str, Any]:
    raw = copy.deepcopy(sections("dev"))
    *above, last = key.split(".")
    node = raw
    for part in above:
        node = node.setdefault(part, {})
    node[last] = value
    return raw


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_refuses_a_text_for_a_shell(key: str) -> None:
    text = "$(touch x)`touch y`;touch z"
    for value in (text, [text], {text: text}, {"a": text}):
        found = [problem.key.removeprefix("webstack:") for problem in problem_keys(raw=with_value(key, value))]
        assert any(one == key or one.startswith((f"{key}.", f"{key}[")) for one in found), f"{key} takes {value}: {found}"


@pytest.mark.parametrize("value", HOSTILE[:4])
def test_set_only_writes_a_value_down(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`no_program` of tests/conftest.py fails this test if anything runs."""
    monkeypatch.chdir(tmp_path)
    write_workspace(tmp_path / "work", repository=REPOSITORY, stack="dev", settings=[Setting.parse(f"a='{value}'")])
    written = yaml.safe_load((tmp_path / "work" / "Pulumi.dev.yaml").read_text())["config"]["webstack:a"]
    assert written == (value.replace("\n", " ") if "\n" in value else value)
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_a_key_of_set_is_a_key_and_nothing_else() -> None:
    assert Setting.parse("$(touch x)=1").key == "webstack:$(touch x)"
    raw = sections("dev") | {"$(touch x)": 1}
    assert [problem.rule for problem in problem_keys(raw=raw)] == ["no such key"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_lab_s_name_is_none_of_a_shell_s_texts(name: str) -> None:
    with pytest.raises(LabNameError):
        LabNames.of(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stack_s_name_is_one_that_the_clone_has_a_file_for(name: str, tmp_path: Path) -> None:
    assert name not in stack_names(REPOSITORY)
    with pytest.raises(SettingError, match="there is no"):
        write_workspace(tmp_path / "work", repository=REPOSITORY, stack=name, settings=[])
