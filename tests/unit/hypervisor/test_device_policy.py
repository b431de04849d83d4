"""The program that the kernel asks for each device, run here step by step. That the kernel takes and obeys it, tests/lab shows."""

import platform
import struct
from pathlib import Path
from typing import Literal

import pytest

from lab.hypervisor import device_policy
from lab.hypervisor.device_policy import DEFAULT_DEVICES, Device, DevicePolicyError, compile_program, permit

READ_AND_WRITE = 6 << 16
"""The upper half of the word that holds the type of a device: what is asked to be done with it, BPF_DEVCG_ACC_READ and _WRITE."""

DISK = Device(kind="b", major=7, minor=5)


def permits(code: bytes, kind: Literal["b", "c"], major: int, minor: int) -> bool:
    """What the program answers: <linux/bpf_common.h>'s few instructions over a struct bpf_cgroup_dev_ctx."""
    context = struct.pack("=III", READ_AND_WRITE | {"b": 1, "c": 2}[kind], major, minor)
    registers, at = [0] * 11, 0
    while True:
        operation, both, offset, value = struct.unpack_from("=BBhi", code, 8 * at)
        to = both & 0xF
        at += 1
        match operation:
            case 0x61:
                registers[to] = struct.unpack_from("=I", context, offset)[0]
            case 0x54:
                registers[to] &= value
            case 0x55:
                at += offset if registers[to] != value else 0
            case 0xB7:
                registers[to] = value
            case 0x95:
                return bool(registers[0])
            case _:
                raise AssertionError(f"instruction {operation:#x}")


def test_a_machine_has_what_every_container_has_and_its_own_volumes() -> None:
    code = compile_program([*DEFAULT_DEVICES, DISK])
    assert all(permits(code, device.kind, device.major, 0 if device.minor is None else device.minor) for device in DEFAULT_DEVICES)
    assert permits(code, "c", 136, 17), "any terminal"
    assert permits(code, "b", 7, 5)


@pytest.mark.parametrize(
    ("kind", "major", "minor"),
    [("b", 7, 4), ("b", 7, 0), ("c", 7, 5), ("b", 8, 5), ("b", 1, 3), ("c", 1, 1), ("c", 1, 11), ("c", 10, 237), ("b", 259, 0)],
)
def test_it_has_no_other(kind: Literal["b", "c"], major: int, minor: int) -> None:
    assert not permits(compile_program([*DEFAULT_DEVICES, DISK]), kind, major, minor)


def test_nothing_is_permitted_by_an_empty_list() -> None:
    assert not permits(compile_program([]), "c", 1, 3)


def test_a_machine_of_another_kind_is_told_which_ones_the_lab_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(DevicePolicyError, match="riscv64; it runs on x86_64 and aarch64"):
        permit(tmp_path, [])


def test_a_kernel_that_refuses_is_told_with_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_policy, "_SYSCALL", {platform.machine(): 100000})  # a call that no kernel has
    with pytest.raises(DevicePolicyError, match=r"bpf.*Function not implemented.*CONFIG_CGROUP_BPF"):
        permit(tmp_path, [])
