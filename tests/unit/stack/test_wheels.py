"""Wheels are fetched for the hosts' Python and never resolved by this machine's."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from stack import wheels
from stack.wheels import WheelsError, download_wheels


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run; each leaves a wheel in the folder after --dest."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        (Path(command[command.index("--dest") + 1]) / "greeting-1.0-py3-none-any.whl").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_the_lock_alone_decides_for_python_3_13_and_every_glibc_up_to_debian_13_s(commands: list[list[str]], tmp_path: Path) -> None:
    assert download_wheels(tmp_path / "requirements.lock", tmp_path) == [tmp_path / "greeting-1.0-py3-none-any.whl"]
    [command] = commands
    assert {"--no-deps", "--require-hashes"} <= set(command)
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert command[command.index("--python-version") + 1] == "3.13"
    platforms = [command[place + 1] for place, word in enumerate(command) if word == "--platform"]
    assert platforms[0] == "manylinux_2_40_x86_64"
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64"} <= set(platforms)
    assert "manylinux_2_41_x86_64" not in platforms


def test_pip_of_this_environment_is_used_else_the_one_that_uv_brings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "uv").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    found: list[object | None] = [object(), None, None]
    monkeypatch.setattr("importlib.util.find_spec", Mock(side_effect=found))
    assert wheels._pip_command() == [str(tmp_path / "python"), "-m", "pip"]  # pyright: ignore[reportPrivateUsage]
    assert wheels._pip_command() == [str(tmp_path / "uv"), "tool", "run", "--quiet", "pip"]  # pyright: ignore[reportPrivateUsage]
    (tmp_path / "uv").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WheelsError, match="neither pip nor uv"):
        wheels._pip_command()  # pyright: ignore[reportPrivateUsage]


def test_what_pip_says_is_told_in_its_last_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "a\nb\n\nERROR: No matching distribution found for greeting==1.0\n")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(WheelsError, match=r"No matching distribution found for greeting==1\.0\nThis needs a package index"):
        download_wheels(tmp_path / "requirements.lock", tmp_path)


def test_an_index_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def hang(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(WheelsError, match="did not finish within 300 s"):
        download_wheels(tmp_path / "requirements.lock", tmp_path)
