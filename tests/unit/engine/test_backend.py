"""The engine's file backend is opened whatever a killed engine left of it, or the damage is named."""

import json
from pathlib import Path

import pytest

from lab.engine.backend import Backend
from lab.engine.state_errors import CorruptStateError, StateAccessError

WHOLE = json.dumps({"version": 3, "checkpoint": {"stack": "organization/webstack/dev", "latest": {"manifest": {}}}})


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
    state = put(backend, "stacks/webstack/dev.json", WHOLE)
    backend.passphrase_file.write_text("words")
    backend.prepare("webstack", "dev")
    assert [path.exists() for path in (attributes, of_meta, lock, state)] == [False, False, False, True]


@pytest.mark.parametrize("left", ["", "versi", "[1", "1: {secure: x}", "!!bool x", "[" * 5000])
def test_half_written_metadata_is_written_anew(backend: Backend, left: str) -> None:
    meta = put(backend, "meta.yaml", left)
    backend.prepare("webstack", "dev")
    assert meta.read_text() == "version: 1\n"


def test_whole_metadata_is_left_alone(backend: Backend) -> None:
    meta = put(backend, "meta.yaml", "version: 2\n")
    backend.prepare("webstack", "dev")
    assert meta.read_text() == "version: 2\n"


NO_CHECKPOINTS = [
    "",
    '{"version": 3, "checkp',
    "[]",
    "\0\0\0",
    "[" * 5000,
    "{}",
    '{"version": 3}',
    '{"version": 3, "checkpoint": {}}',
    '{"version": 3, "checkpoint": [1]}',
    '{"version": 3, "checkpoint": {"latest": null}}',
    '{"checkpoint": {"latest": {}}}',
]


@pytest.mark.parametrize("left", NO_CHECKPOINTS, ids=lambda left: left[:50])
def test_a_half_written_state_is_named_and_left(backend: Backend, left: str) -> None:
    state = put(backend, "stacks/webstack/dev.json", left)
    with pytest.raises(CorruptStateError, match=r"stacks/webstack/dev\.json: .*webstack lab up") as caught:
        backend.prepare("webstack", "dev")
    assert "webstack lab down" in str(caught.value)
    assert state.read_text() == left


def test_another_stack_s_state_is_nobody_s_business(backend: Backend) -> None:
    put(backend, "stacks/webstack/prod.json", "")
    backend.prepare("webstack", "dev")


def test_a_passphrase_is_made_once_for_this_user_alone(backend: Backend) -> None:
    backend.prepare("webstack", "dev")
    made = backend.passphrase_file.read_text()
    assert len(made) > 30
    assert backend.passphrase_file.stat().st_mode & 0o777 == 0o600
    backend.prepare("webstack", "dev")
    assert backend.passphrase_file.read_text() == made


def test_an_empty_passphrase_is_made_anew_unless_a_state_needs_the_old_one(backend: Backend) -> None:
    backend.passphrase_file.write_text("")
    backend.prepare("webstack", "dev")
    assert backend.passphrase_file.read_text()
    backend.passphrase_file.write_text("\n")
    put(backend, "stacks/webstack/dev.json", WHOLE)
    with pytest.raises(CorruptStateError, match="passphrase"):
        backend.prepare("webstack", "dev")


@pytest.mark.parametrize("name", ["stacks/webstack/dev.json", "meta.yaml", "locks/webstack/dev/1.json", "meta.yaml.attrs"])
def test_a_folder_in_a_file_s_place_is_named(backend: Backend, name: str) -> None:
    (backend.folder / ".pulumi" / name).mkdir(parents=True)
    with pytest.raises(CorruptStateError, match=rf"{name}: is a folder where a file belongs.*webstack lab up.*webstack lab down"):
        backend.prepare("webstack", "dev")


def test_a_file_in_a_folder_s_place_is_named(backend: Backend) -> None:
    backend.folder.write_text("")
    with pytest.raises(CorruptStateError, match=r"/backend.*a file where a folder belongs"):
        backend.prepare("webstack", "dev")


def test_a_folder_in_the_passphrase_s_place_is_named(backend: Backend) -> None:
    backend.passphrase_file.mkdir()
    with pytest.raises(CorruptStateError, match=r"/passphrase: is a folder"):
        backend.prepare("webstack", "dev")


def test_a_passphrase_that_is_no_text_is_none(backend: Backend) -> None:
    backend.passphrase_file.write_bytes(b"\xff\xfe\x00")
    state = put(backend, "stacks/webstack/dev.json", WHOLE)
    with pytest.raises(CorruptStateError, match=r"/passphrase: holds no passphrase"):
        backend.prepare("webstack", "dev")
    state.unlink()
    backend.prepare("webstack", "dev")
    assert backend.passphrase_file.read_text().isascii()


def test_what_this_machine_refuses_is_no_lost_state(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab is not started afresh, and so taken away, because the disk was full for a moment."""

    def full(path: Path, text: str, *, mode: int = 0o644) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("lab.engine.backend.write_atomic", full)
    with pytest.raises(StateAccessError, match=r"/passphrase cannot be used: No space left on device\. Nothing was changed"):
        backend.prepare("webstack", "dev")
