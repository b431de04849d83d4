"""`make pulumi` gives the environment a CLI and a language host, where the machine has none of its own."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pulumi.runtime.proto import language_pb2

from lab.engine import install_cli, language_host, pulumi_cli


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def reports(*version: int) -> Callable[[Path], tuple[int, ...]]:
    def version_of(_: Path) -> tuple[int, ...]:
        return version

    return version_of


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CLI in the cache; every CLI here is new enough, and the PATH is empty but for the environment."""
    root = tmp_path / "cache"
    program(root / "bin" / "pulumi")

    def ensure(_: pulumi_cli.ProgressCallback) -> Path:
        return root

    monkeypatch.setattr(pulumi_cli, "ensure", ensure)
    monkeypatch.setattr(pulumi_cli, "version_of", reports(9, 0, 0))
    monkeypatch.setenv("PATH", str(tmp_path / "venv" / "bin"))
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    return root


def test_the_environment_gets_the_cached_cli_and_a_language_host(cached: Path, tmp_path: Path) -> None:
    install_cli.install(environment=tmp_path / "venv")
    made = tmp_path / "venv" / "bin"
    assert f"exec {cached}/bin/pulumi" in (made / "pulumi").read_text()
    assert "lab.engine.language_host" in (made / "pulumi-language-python").read_text()
    assert os.access(made / "pulumi", os.X_OK)
    assert os.access(made / "pulumi-language-python", os.X_OK)
    install_cli.install(environment=tmp_path / "venv")
    assert f"exec {cached}/bin/pulumi" in (made / "pulumi").read_text(), "its own file is not the user's CLI"


def test_pulumi_s_own_language_host_is_not_hidden(cached: Path, tmp_path: Path) -> None:
    install_cli.install(environment=tmp_path / "venv")
    program(cached / "bin" / "pulumi-language-python")
    install_cli.install(environment=tmp_path / "venv")
    assert not (tmp_path / "venv" / "bin" / "pulumi-language-python").exists()


def test_the_user_s_own_cli_is_not_hidden(cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_cli.install(environment=tmp_path / "venv")
    program(tmp_path / "mine" / "pulumi")
    program(tmp_path / "mine" / "pulumi-language-python")
    monkeypatch.setenv("PATH", f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{tmp_path / 'mine'}")
    install_cli.install(environment=tmp_path / "venv")
    assert list((tmp_path / "venv" / "bin").iterdir()) == []


def test_a_user_s_cli_that_is_too_old_gives_way(cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "mine" / "pulumi")
    monkeypatch.setattr(pulumi_cli, "version_of", reports(3, 1, 0))
    monkeypatch.setenv("PATH", str(tmp_path / "mine"))
    install_cli.install(environment=tmp_path / "venv")
    assert f"exec {cached}/bin/pulumi" in (tmp_path / "venv" / "bin" / "pulumi").read_text()


def test_the_plugins_are_those_that_the_installed_sdks_name(tmp_path: Path) -> None:
    for name, text in {
        "pulumi_aws": '{"resource": true, "name": "aws", "version": "7.51.1"}',
        "pulumi_policy": '{"resource": false}',
        "pulumi_other": '{"resource": true, "name": "other", "version": "v1.0.0", "server": "https://plugins.example.com"}',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pulumi-plugin.json").write_text(text)
    found = [(one.name, one.kind, one.version, one.server) for one in language_host.required_packages(tmp_path)]
    assert found == [("aws", "resource", "v7.51.1", ""), ("other", "resource", "v1.0.0", "https://plugins.example.com")]


def test_a_program_of_another_environment_is_not_run(tmp_path: Path) -> None:
    request = language_pb2.RunRequest(info=language_pb2.ProgramInfo(program_directory=str(tmp_path)))
    request.info.options.update({"virtualenv": "venv"})
    error = language_host.LanguageHost("127.0.0.1:1", tmp_path).Run(request, None).error
    assert str(tmp_path / "venv") in error
    assert sys.prefix in error
    assert "make pulumi" in error
