"""The data volume: found, formatted once, mounted, and left alone where it is not understood."""

from pathlib import Path

import pytest
from database_role import volume
from webstack_host.errors import PermanentError

from .support import Runs, returning


def mount_with(monkeypatch: pytest.MonkeyPatch, runs: Runs) -> dict[str, str]:
    """Mounts a volume with these programs; returns the files written."""
    written: dict[str, str] = {}

    def write(path: Path, content: str) -> None:
        written[str(path)] = content

    monkeypatch.setattr(volume, "run", runs)
    monkeypatch.setattr(volume.files, "write", write)
    monkeypatch.setattr(volume.files, "directory", returning(None))
    volume.mount(Path("/dev/disk/by-id/x"))
    return written


def test_a_volume_is_found_by_its_id() -> None:
    assert str(volume.device("vol-0123456789abcdef0")) == "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"


def test_a_blank_volume_is_formatted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(blkid=(2, ""))
    written = mount_with(monkeypatch, runs)
    assert [call for call in runs.calls if call.startswith("mkfs")] == ["mkfs.xfs -q -L mysql-data /dev/disk/by-id/x"]
    assert "Where=/var/lib/mysql\n" in written["/etc/systemd/system/var-lib-mysql.mount"]


def test_a_volume_with_data_is_mounted_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(blkid=(0, "xfs\n"))
    mount_with(monkeypatch, runs)
    assert not [call for call in runs.calls if call.startswith("mkfs")]
    assert "systemctl start var-lib-mysql.mount" in runs.calls


@pytest.mark.parametrize(
    ("runs", "said"),
    [(Runs(blkid=(0, "ext4\n")), "holds ext4, not XFS.*left alone.*Attach"), (Runs(blkid=(8, "")), "cannot tell")],
)
def test_what_is_not_understood_is_left_alone(monkeypatch: pytest.MonkeyPatch, runs: Runs, said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        mount_with(monkeypatch, runs)
    assert not [call for call in runs.calls if call.startswith(("mkfs", "systemctl"))]


def test_a_volume_that_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(volume, "ATTACH_TIMEOUT", -1)
    with pytest.raises(TimeoutError, match="vol-0123456789abcdef0 is not attached"):
        volume.wait("vol-0123456789abcdef0", progress=said.append)
    assert said == ["waiting for volume vol-0123456789abcdef0 to be attached"]
