"""Files that are written whole or not at all."""

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from webstack_host import files

ME = pwd.getpwuid(os.getuid()).pw_name
OURS: dict[str, Any] = {"owner": ME, "group": ME}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_once_and_again_only_when_something_differs(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert files.write(path, "one\n", mode=0o600, **OURS)
    assert not files.write(path, "one\n", mode=0o600, **OURS)
    assert files.write(path, "one\n", mode=0o640, **OURS), "a changed mode is a change"
    assert files.write(path, b"two\n", mode=0o640, **OURS)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\n", 0o640)
    assert names(path.parent) == ["file"], "no draft is left behind"


def test_a_link_at_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / "file").symlink_to(other)
    assert files.write(tmp_path / "file", "new", **OURS)
    assert (other.read_text(), (tmp_path / "file").read_text()) == ("kept", "new")


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path / "file", "old", **OURS)

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path / "file", "new", **OURS)
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]
