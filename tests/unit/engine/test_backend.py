"""The engine's file backend is opened whatever a killed engine left of it, or the damage is named."""

import json
from pathlib import Path

import pytest

from lab.engine.backend import Backend, DamagedStateError


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(folder=tmp_path / "backend", passphrase_file=tmp_path / "passphrase")


def put(backend: Backend, name: str, text: str) -> Path:
    path = backend.folder / ".pulumi" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_engine_keeps_no_attributes_beside_its_files(backend: Backend) -> None:
    assert backend.url.endswith("/backend?metadata=skip")


def test_attributes_and_locks_of_a_killed_engine_go(backend: Backend) -> None:
    attributes = put(backend, "stacks/webstack/dev.json.attrs", "")
    of_meta = put(backend, "meta.yaml.attrs", "{")
    lock = put(backend, "locks/organization/webstack/dev/1.json", "{}")
    state = put(backend, "stacks/webstack/dev.json", "{}")
    backend.passphrase_file.write_text("words")
    backend.open("webstack", "dev")
    assert [path.exists() for path in (attributes, of_meta, lock, state)] == [False, False, False, True]


@pytest.mark.parametrize("left", ["", "versi", "[1"])
def test_half_written_metadata_is_written_anew(backend: Backend, left: str) -> None:
    meta = put(backend, "meta.yaml", left)
    backend.open("webstack", "dev")
    assert meta.read_text() == "version: 1\n"


def test_whole_metadata_is_left_alone(backend: Backend) -> None:
    meta = put(backend, "meta.yaml", "version: 2\n")
    backend.open("webstack", "dev")
    assert meta.read_text() == "version: 2\n"


@pytest.mark.parametrize("left", ["", '{"version": 3, "checkp', "[]", "\0\0\0"])
def test_a_half_written_state_is_named_and_left(backend: Backend, left: str) -> None:
    state = put(backend, "stacks/webstack/dev.json", left)
    with pytest.raises(DamagedStateError, match=r"stacks/webstack/dev\.json: .*webstack lab up") as caught:
        backend.open("webstack", "dev")
    assert "webstack lab down" in str(caught.value)
    assert state.read_text() == left


def test_another_stack_s_state_is_nobody_s_business(backend: Backend) -> None:
    put(backend, "stacks/webstack/prod.json", "")
    backend.open("webstack", "dev")


def test_a_passphrase_is_made_once_for_this_user_alone(backend: Backend) -> None:
    backend.open("webstack", "dev")
    made = backend.passphrase_file.read_text()
    assert len(made) > 30
    assert backend.passphrase_file.stat().st_mode & 0o777 == 0o600
    backend.open("webstack", "dev")
    assert backend.passphrase_file.read_text() == made


def test_an_empty_passphrase_is_made_anew_unless_a_state_needs_the_old_one(backend: Backend) -> None:
    backend.passphrase_file.write_text("")
    backend.open("webstack", "dev")
    assert backend.passphrase_file.read_text()
    backend.passphrase_file.write_text("\n")
    put(backend, "stacks/webstack/dev.json", json.dumps({"version": 3}))
    with pytest.raises(DamagedStateError, match="passphrase"):
        backend.open("webstack", "dev")
