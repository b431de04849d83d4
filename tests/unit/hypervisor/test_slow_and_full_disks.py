"""Slow and full disks, as far as files tell: limits in control groups of both versions, mount points, and what is taken of a disk."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.hypervisor import cgroups, disk_fill, io_throttle
from lab.hypervisor.cgroups import CgroupLayout, MachineCgroup
from lab.hypervisor.io_throttle import IoLimits, ThrottlingUnsupportedError

GROUP = MachineCgroup(lab="wsl-x", instance_id="i-1")


class Kernel:
    """Control group files of a machine that hold one rule a device, as the kernel's do."""

    def __init__(self, root: Path, files: Mapping[str, str], *, v1: bool) -> None:
        self.folder = root / ("blkio" if v1 else "unified") / GROUP.lab / GROUP.instance_id
        (root / "unified" / GROUP.lab / GROUP.instance_id).mkdir(parents=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.layout = CgroupLayout(unified=root / "unified", legacy=(), all_hierarchies=(), blkio=root / "blkio" if v1 else None)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is written to control group files: each call is a rule of its own to the kernel, so the last one in a file tells nothing."""
    seen: list[tuple[str, str]] = []

    def write_text(path: Path, text: str) -> None:
        seen.append((path.name, text))

    monkeypatch.setattr(Path, "write_text", write_text)
    return seen


_V1 = {
    "blkio.throttle.read_bps_device": "",
    "blkio.throttle.write_bps_device": "7:1 5000\n7:2 9000\n",
    "blkio.throttle.read_iops_device": "",
    "blkio.throttle.write_iops_device": "7:1 10\n",
}


def test_v1_gets_one_rule_a_call_and_loses_those_that_are_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    kernel = Kernel(tmp_path, _V1, v1=True)
    monkeypatch.setattr(cgroups, "layout", lambda: kernel.layout)
    writes: list[tuple[str, str]] = request.getfixturevalue("writes")
    io_throttle.apply_limits(GROUP, {"7:2": IoLimits(write_bps=1000, read_iops=7)})
    assert writes == [
        ("blkio.throttle.read_bps_device", "7:2 0"),
        ("blkio.throttle.write_bps_device", "7:1 0"),
        ("blkio.throttle.write_bps_device", "7:2 1000"),
        ("blkio.throttle.read_iops_device", "7:2 7"),
        ("blkio.throttle.write_iops_device", "7:1 0"),
        ("blkio.throttle.write_iops_device", "7:2 0"),
    ]


def test_v2_gets_all_limits_of_a_device_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    kernel = Kernel(tmp_path, {"io.max": "7:1 rbps=max wbps=5000 riops=max wiops=max\n"}, v1=False)
    monkeypatch.setattr(cgroups, "layout", lambda: kernel.layout)
    writes: list[tuple[str, str]] = request.getfixturevalue("writes")
    io_throttle.apply_limits(GROUP, {"7:2": IoLimits(write_bps=1000, read_iops=7)})
    assert writes == [
        ("io.max", "7:1 rbps=max wbps=max riops=max wiops=max"),
        ("io.max", "7:2 rbps=max wbps=1000 riops=7 wiops=max"),
    ]


def test_a_system_with_neither_is_refused_in_words_and_left_alone_without_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(tmp_path, {}, v1=False)
    monkeypatch.setattr(cgroups, "layout", lambda: kernel.layout)
    io_throttle.apply_limits(GROUP, {})
    with pytest.raises(ThrottlingUnsupportedError, match=r"neither blkio.throttle.write_bps_device .* nor io.max"):
        io_throttle.apply_limits(GROUP, {"7:2": IoLimits(write_bps=1000)})
    with pytest.raises(ThrottlingUnsupportedError):
        io_throttle.require_support(GROUP)


def test_of_two_limits_the_lower_holds() -> None:
    both = IoLimits(write_bps=10, read_bps=5).tightest(IoLimits(write_bps=7, write_iops=3))
    assert both == IoLimits(write_bps=7, read_bps=5, write_iops=3)


_MOUNTS = """\
22 1 0:30 / / rw - overlay overlay rw
40 22 7:3 /sub /srv/part rw,relatime - ext4 /dev/loop3 rw
41 22 7:3 / /var/lib/my\\040data rw,relatime shared:7 - ext4 /dev/loop3 rw
"""


def test_a_whole_file_systems_mount_point_is_found_by_its_device() -> None:
    assert disk_fill.parse_mount_point(_MOUNTS, "7:3") == "/var/lib/my data"
    assert disk_fill.parse_mount_point(_MOUNTS, "7:30") is None


def test_filling_takes_all_that_there_is_and_again_what_has_come_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free, taken = 100_000, 0

    def fallocate(_descriptor: int, offset: int, length: int) -> None:
        nonlocal taken
        if offset + length > free:
            raise OSError(errno.ENOSPC, "full")
        taken = offset + length

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    disk_fill.fill(tmp_path)
    assert free - 4096 < taken <= free
    assert disk_fill.is_full(tmp_path)
    disk_fill.free_space(tmp_path)
    disk_fill.free_space(tmp_path)
    assert not disk_fill.is_full(tmp_path)


def test_a_file_system_that_cannot_reserve_space_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fallocate(_descriptor: int, _offset: int, _length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    with pytest.raises(OSError, match="not supported"):
        disk_fill.fill(tmp_path)
