"""The file system that follows its volume, and what comes of one that cannot."""

from pathlib import Path
from typing import Any

import pytest
from database_role import configuration, filesystem
from database_role.checks import HealthInputs, evaluate
from webstack_host.run import CommandError

from .support import CLAIM, DB_1, Runs, returning


def growing_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception | None) -> bool:
    """Whether the file system follows its volume, where xfs_growfs ends so."""

    def run(command: list[Any], *, timeout: float) -> None:
        assert [str(word) for word in command] == ["xfs_growfs", "-d", "/var/lib/mysql"]
        assert timeout <= filesystem.BOOT_TIMEOUT, "MySQL waits for the boot"
        if error is not None:
            raise error

    def write(path: Path, content: str) -> None:
        path.write_text(content)

    monkeypatch.setattr(filesystem, "run", run)
    monkeypatch.setattr(filesystem.files, "write", write)
    monkeypatch.setattr(filesystem.paths, "GROWTH_FAILED", tmp_path / "failed")
    return filesystem.grow(seconds=filesystem.BOOT_TIMEOUT)


def test_a_boot_gives_an_extension_that_hangs_no_more_than_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer tries again while MySQL serves."""
    given: list[float] = []

    def follow(*, seconds: float = 120.0) -> bool:
        given.append(seconds)
        raise StopIteration

    monkeypatch.setattr(configuration.filesystem, "grow", follow)
    monkeypatch.setattr(configuration, "run", Runs())
    monkeypatch.setattr(configuration.services, "is_active", returning(False))
    monkeypatch.setattr(configuration.readiness, "publish", returning(None))
    monkeypatch.setattr(configuration.volume, "wait", returning(Path("/dev/nvme1n1")))
    monkeypatch.setattr(configuration.volume, "mount", returning(None))
    monkeypatch.setattr(configuration.records, "read_primary", returning(None))
    with pytest.raises(StopIteration):
        configuration.configure(DB_1)
    assert given == [filesystem.BOOT_TIMEOUT]
    assert filesystem.BOOT_TIMEOUT <= 10


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CommandError("xfs_growfs -d /var/lib/mysql: exit code 1\nno"), "xfs_growfs -d /var/lib/mysql: exit code 1 no"),
        (PermissionError(13, "Permission denied", "xfs_growfs"), "[Errno 13] Permission denied: 'xfs_growfs'"),
    ],
)
def test_a_file_system_that_cannot_be_extended_is_a_fact_and_no_obstacle_and_one_that_can_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, told: str
) -> None:
    assert not growing_with(monkeypatch, tmp_path, error)
    said = configuration.record_facts(DB_1, CLAIM)
    assert said["role"] == "primary"
    assert said["data_volume"].endswith(f"tried again: {told}")
    status = {"primary": True, "replica": False}
    assert evaluate(DB_1, HealthInputs(primary_record=CLAIM, status=status, agent={"mode": "lossless"}, accounts=True)).ok, (
        "MySQL serves all the same"
    )
    assert growing_with(monkeypatch, tmp_path, None)
    assert configuration.record_facts(DB_1, CLAIM) == {"role": "primary"}


@pytest.mark.parametrize("error", [CommandError("no"), None], ids=["not extended", "extended"])
def test_a_root_disk_that_takes_nothing_keeps_no_boot_from_its_mysql(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception | None
) -> None:
    (tmp_path / "failed").mkdir()  # neither written over nor removed nor read
    assert growing_with(monkeypatch, tmp_path, error) is (error is None)
    assert "failed could not be written" in capsys.readouterr().out
    assert configuration.record_facts(DB_1, CLAIM) == {"role": "primary"}
