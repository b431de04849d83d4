"""The Pulumi CLI that is fetched: nothing of it is there unless it is what its release says; a build takes what its locks know."""

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.engine import pulumi_cli, pulumi_release
from lab.engine.pulumi_release import ReleaseError, archive_name, verify_checksum

VERSION = "3.1.0"


def archive(*names: str, content: bytes = b"#!/bin/sh\n") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("pulumi/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return file.getvalue()


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Both sites as folders; gives the root that a release is installed to."""
    sums, site = tmp_path / "sums", tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(pulumi_release, "CHECKSUMS", sums.as_uri() + "#{version}")
    monkeypatch.setattr(pulumi_release, "ARCHIVE", site.as_uri() + "/{name}")

    def put(content: bytes, said: bytes | None = None) -> Path:
        name = archive_name(VERSION)
        (site / name).write_bytes(content)
        sums.write_text(f"{'0' * 128}  other.tar.gz\n{hashlib.sha512(content if said is None else said).hexdigest()}  {name}\n")
        return tmp_path / "cache" / VERSION

    return put


@pytest.mark.parametrize("folder", ["pulumi", "pulumi/bin"])
def test_a_release_that_is_what_it_says_is_installed(released: Callable[..., Path], folder: str) -> None:
    root = released(archive(f"{folder}/pulumi", f"{folder}/pulumi-language-python"))
    root.parent.mkdir()
    pulumi_release.install(root, VERSION)
    assert sorted(path.name for path in (root / "bin").iterdir()) == ["pulumi", "pulumi-language-python"]
    assert (root / "bin" / "pulumi").stat().st_mode & 0o777 == 0o755


def test_of_an_archive_that_is_another_nothing_is_kept(released: Callable[..., Path]) -> None:
    root = released(archive("pulumi/pulumi", content=b"another"), said=archive("pulumi/pulumi"))
    with pytest.raises(ReleaseError, match="does not match the release"):
        pulumi_release.install(root, VERSION)
    assert not root.exists()


def test_nothing_of_an_archive_leaves_its_folder(released: Callable[..., Path], tmp_path: Path) -> None:
    root = released(archive("pulumi/pulumi", "../pulumi/evil", "/bin/evil2", "other/evil3"))
    root.parent.mkdir()
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    pulumi_release.install(root, VERSION)
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path.parent for path in made} == {root / "bin"}


def test_an_archive_without_the_program_leaves_none(released: Callable[..., Path]) -> None:
    root = released(archive("pulumi/pulumi-language-python"))
    root.parent.mkdir()
    with pytest.raises(ReleaseError, match="no program"):
        pulumi_release.install(root, VERSION)
    assert list(root.rglob("*")) == [root / "bin"]


def test_an_archive_that_the_release_does_not_list_is_refused() -> None:
    with pytest.raises(ReleaseError, match="no checksum"):
        verify_checksum("pulumi.tar.gz", "00", "00  pulumi.tar.gz.sig\n")


def test_a_machine_without_a_release_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ReleaseError, match="riscv64"):
        archive_name(VERSION)


class Commands:
    """Stands in for the programs that a build runs."""

    def __init__(self, go: str, on_path: str) -> None:
        self.go = go
        self.on_path = on_path
        self.ran: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append((command, options.get("env") or {}))
        if "install" in command:
            wheel = Path(command[command.index("--target") + 1])
            for name in ("bin/go", "go/bin/go"):
                (wheel / name).parent.mkdir(parents=True)
                (wheel / name).write_text("")
        if command == ["/usr/bin/go", "version"]:
            return subprocess.CompletedProcess(command, 0, stdout=self.on_path)
        if command[1:] == ["version"] and not command[0].endswith("/go/go/bin/go"):
            raise subprocess.CalledProcessError(1, command, stderr="ModuleNotFoundError: No module named 'go'")
        if "build" in command:
            Path(command[command.index("-o") + 1]).write_text("built")
        return subprocess.CompletedProcess(command, 0, stdout=self.go)


@pytest.fixture
def building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Commands]:
    """Builds the CLI with a Go on the PATH, or without; gives what was run."""

    def build(on_path: str | None, version: str = "1.27.3") -> Commands:
        commands = Commands("go version go1.27.3 linux/amd64", f"go version go{version} linux/amd64")
        monkeypatch.setenv("WEBSTACK_CACHE", str(tmp_path))
        monkeypatch.setenv("GOFLAGS", "-mod=mod")
        monkeypatch.setattr("lab.engine.pulumi_cli.require_free", lambda *_: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        monkeypatch.setattr("shutil.which", lambda _: on_path)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
        monkeypatch.setattr(subprocess, "run", commands)
        pulumi_cli._build(tmp_path / VERSION, lambda _: None)  # pyright: ignore[reportPrivateUsage]
        return commands

    return build


def test_a_build_takes_the_modules_that_go_sum_knows_and_no_other_go(building: Callable[..., Commands]) -> None:
    command, environment = building("/usr/bin/go").ran[-1]
    assert "-mod=readonly" in command, "a flag of the command line is stronger than GOFLAGS"
    assert (environment["GOTOOLCHAIN"], environment["GOWORK"]) == ("local", "off")


def test_go_itself_is_installed_by_its_hash(building: Callable[..., Commands]) -> None:
    (command,) = [command for command, _ in building(None).ran if "install" in command]
    assert {"--require-hashes", "--no-build"} <= set(command)
    assert command[-2:] == ["--requirement", str(pulumi_cli.REPOSITORY / "tools" / "pulumi" / "go.txt")]


@pytest.mark.parametrize(("version", "is_taken"), [("1.26.5", False), ("1.25", False), ("1.26.6", True), ("1.27", True)])
def test_a_go_that_is_too_old_for_the_modules_is_not_taken(building: Callable[..., Commands], version: str, is_taken: bool) -> None:
    command, _ = building("/usr/bin/go", version).ran[-1]
    assert (command[0] == "/usr/bin/go") == is_taken


def test_the_versions_are_those_that_the_modules_pin() -> None:
    pins = (pulumi_cli.REPOSITORY / "tools" / "pulumi" / "go.mod").read_text()
    assert f"\ngo {'.'.join(map(str, pulumi_cli.GO_VERSION))}\n" in pins
    for module in ("pkg", "sdk"):
        assert f"github.com/pulumi/pulumi/{module}/v3 v{pulumi_cli.PULUMI_VERSION} " in pins
