"""What a lab keeps is for root alone, whatever umask a command was given."""

import os
import stat
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from lab.engine.interruptible_command import InterruptibleCommand
from lab.engine.provider_process import ProviderProcess
from lab.files import write_atomic
from lab.hypervisor import cgroups, root_disk, volumes
from lab.hypervisor.cgroups import CgroupLayout, MachineCgroup
from lab.hypervisor.root_disk import RootDisk
from lab.image.store import ImageStore
from lab.names import LabNames


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.fixture(params=[0o022, 0o077], ids=["umask-022", "umask-077"])
def umask(request: pytest.FixtureRequest) -> Generator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_the_state_folder_and_all_above_it_are_closed_also_those_of_an_earlier_version(
    umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "webstack"
    monkeypatch.setattr("lab.names.STATE_ROOT", root)
    names = LabNames.of("unit")
    for _ in range(2):
        names.make_state_dir()
        assert [mode(folder) for folder in (root, root / "labs", root / "labs" / "unit")] == ["0o700"] * 3
        for folder in (root, root / "labs", root / "labs" / "unit"):
            folder.chmod(0o755)


def test_what_is_written_whole_is_private(umask: int, tmp_path: Path) -> None:
    write_atomic(tmp_path / "lab.json", "{}")
    assert mode(tmp_path / "lab.json") == "0o600"


def test_volumes_are_private(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_loops(_: Path) -> list[Path]:
        return []

    monkeypatch.setattr(volumes, "loops_of_file", no_loops)
    volumes.grow(tmp_path / "volumes" / "vol-1.img", 1)
    assert (mode(tmp_path / "volumes"), mode(tmp_path / "volumes" / "vol-1.img")) == ("0o700", "0o600")


def test_a_root_disk_is_private_counts_no_setuid_and_no_device_and_is_open_to_the_guests_users(
    umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(words: Sequence[object], **_: object) -> str:
        ran.append([str(word) for word in words])
        return ""

    monkeypatch.setattr(root_disk, "run", run)
    disk = RootDisk(folder=tmp_path)
    disk.prepare(1)
    assert mode(disk.image) == "0o600"
    assert mode(disk.upper) == "0o755", "the guest's root folder"
    (mount,) = [words for words in ran if words[0] == "mount"]
    assert {"nosuid", "nodev"} <= set(mount[mount.index("-o") + 1].split(","))
    disk.upper.chmod(0o750)  # by the guest
    disk.prepare(1)
    assert mode(disk.upper) == "0o750"


def test_a_guests_groups_are_open_to_its_users(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unified, legacy = tmp_path / "unified", tmp_path / "memory"
    for hierarchy in (unified, legacy):
        hierarchy.mkdir(mode=0o755)
        hierarchy.chmod(0o755)
    monkeypatch.setattr(
        cgroups, "layout", lambda: CgroupLayout(unified=unified, legacy=(legacy,), all_hierarchies=(unified, legacy), blkio=None)
    )

    def not_here(_: Path) -> None:
        """No real hierarchy."""

    monkeypatch.setattr(cgroups, "_delegate_controllers", not_here)
    MachineCgroup(lab="wsl-x", instance_id="i-1").create()
    made = [folder for hierarchy in (unified, legacy) for folder in hierarchy.rglob("*") if folder.is_dir()]
    assert len(made) == 6
    assert {mode(folder) for folder in made} == {"0o755"}


def test_images_can_be_closed_to_others(tmp_path: Path) -> None:
    store = ImageStore(cache=tmp_path)
    store.restrict_access()
    (tmp_path / "images").mkdir(mode=0o755)
    store.restrict_access()
    assert mode(tmp_path / "images") == "0o700"


_LEAVES_A_FILE = "#!/bin/sh\ntouch {0}/state\necho '{{\"aws\": 1}}' > {0}/provider.ports\n"


@pytest.mark.programs
def test_the_engines_cli_makes_private_files(umask: int, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    version = 'case "$1" in version) echo v3.250.0; exit;; esac\n'
    until_written_down = f"until test -e {tmp_path}/pulumi.pid; do sleep 0.01; done\n"
    program.write_text(_LEAVES_A_FILE.format(tmp_path).replace("\n", f"\n{version}", 1) + until_written_down)
    program.chmod(0o755)
    InterruptibleCommand(root=tmp_path, pid_file=tmp_path / "pulumi.pid").run(["up"], str(tmp_path), {})
    assert mode(tmp_path / "state") == "0o600"


@pytest.mark.programs
def test_the_provider_makes_private_files(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text(_LEAVES_A_FILE.format(tmp_path) + "sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    provider = ProviderProcess(endpoint="http://127.0.0.1:1", folder=tmp_path)
    provider.start()
    provider.debug_providers()
    provider.stop()
    assert mode(tmp_path / "state") == "0o600"
