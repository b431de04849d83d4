"""Limits the devices that a machine's processes may open and create: those that every container has, and the machine's own volumes.

The kernel runs a BPF program attached to the machine's control group (BPF_PROG_TYPE_CGROUP_DEVICE) for each access, on pure cgroup v2 and
on the hybrid layout alike. The guest's systemd attaches further programs to groups below; one program's refusal is enough. Numbers and
structures are those of <linux/bpf.h> and <linux/bpf_common.h>.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.errors import LabError

_SYSCALL = {"x86_64": 321, "aarch64": 280}
"""The syscall number of bpf(2), from the kernel's syscall tables."""

_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_TYPE_CGROUP_DEVICE, _ATTACH_CGROUP_DEVICE, _ALLOW_MULTI = 15, 6, 2
_LOAD_WORD, _AND, _SKIP_UNLESS, _MOVE, _EXIT = 0x61, 0x54, 0x55, 0xB7, 0x95
_TYPE_AT, _MAJOR_AT, _MINOR_AT = 0, 4, 8
"""Offsets in struct bpf_cgroup_dev_ctx; the low half of its first word is the type of the device."""
_KINDS = {"b": 1, "c": 2}
_ATTR_BYTES = 128
"""Bytes, at least the size of union bpf_attr; those that a command does not use are zero."""
_MAX_PROGRAMS = 64
"""More than the number of programs ever attached to one group."""


class DevicePolicyError(LabError):
    """The kernel rejected the list of devices."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device by its numbers. Without a minor number, all devices of the major number."""

    kind: Literal["b", "c"]
    major: int
    minor: int | None = None

    @classmethod
    def of(cls, path: Path) -> "Device":
        """Returns the block device at a path on this machine."""
        number = path.stat().st_rdev
        return cls(kind="b", major=os.major(number), minor=os.minor(number))


DEFAULT_DEVICES = (
    *(Device(kind="c", major=1, minor=minor) for minor in (3, 5, 7, 8, 9)),  # null, zero, full, random, urandom
    *(Device(kind="c", major=5, minor=minor) for minor in (0, 2)),  # tty, ptmx
    Device(kind="c", major=10, minor=200),  # net/tun: interfaces of the machine's own network namespace
    Device(kind="c", major=136),  # pts
)
"""What systemd-nspawn gives each container (src/nspawn/nspawn.c, copy_devnodes; Documentation/admin-guide/devices.txt)."""


def compile_program(devices: Iterable[Device]) -> bytes:
    """Compiles the BPF program that permits reading, writing and creating these devices, and no others."""
    code = [
        _instruction(_LOAD_WORD, to=2, source=1, offset=_TYPE_AT),
        _instruction(_AND, to=2, value=0xFFFF),
        _instruction(_LOAD_WORD, to=4, source=1, offset=_MAJOR_AT),
        _instruction(_LOAD_WORD, to=5, source=1, offset=_MINOR_AT),
    ]
    for device in devices:
        asked = [(2, _KINDS[device.kind]), (4, device.major), *([(5, device.minor)] if device.minor is not None else [])]
        for place, (register, value) in enumerate(asked):
            to_the_next = len(asked) - place + 1
            code.append(_instruction(_SKIP_UNLESS, to=register, offset=to_the_next, value=value))
        code += [_instruction(_MOVE, value=1), _instruction(_EXIT)]
    code += [_instruction(_MOVE, value=0), _instruction(_EXIT)]
    return b"".join(code)


def permit(group: Path, devices: Iterable[Device]) -> None:
    """Replaces the devices that a cgroup v2 group and the groups below may use: `DEFAULT_DEVICES` and these.

    Devices that are already open stay open. Raises DevicePolicyError.
    """
    folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        earlier = _attached(folder)
        loaded = _load(compile_program([*DEFAULT_DEVICES, *devices]))
        try:
            _bpf(_PROG_ATTACH, struct.pack("=IIII", folder, loaded, _ATTACH_CGROUP_DEVICE, _ALLOW_MULTI))
        finally:
            os.close(loaded)
        for identifier in earlier:  # after the new one is attached: with none attached everything would be permitted
            old = _bpf(_PROG_GET_FD_BY_ID, struct.pack("=I", identifier))
            try:
                _bpf(_PROG_DETACH, struct.pack("=III", folder, old, _ATTACH_CGROUP_DEVICE))
            finally:
                os.close(old)
    finally:
        os.close(folder)


def _attached(folder: int) -> list[int]:
    """Returns the ids of the programs attached to this very group."""
    found = (ctypes.c_uint32 * _MAX_PROGRAMS)()
    attributes = bytearray(struct.pack("=IIIIQI", folder, _ATTACH_CGROUP_DEVICE, 0, 0, ctypes.addressof(found), _MAX_PROGRAMS))
    answer = ctypes.create_string_buffer(bytes(attributes), _ATTR_BYTES)
    _call(_PROG_QUERY, answer)
    count: int = struct.unpack_from("=I", answer, len(attributes) - 4)[0]
    return list(found[:count])


def _load(code: bytes) -> int:
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"")
    head = struct.pack("=IIQQ", _TYPE_CGROUP_DEVICE, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(licence))
    return _bpf(_PROG_LOAD, head)


def _bpf(command: int, attributes: bytes) -> int:
    return _call(command, ctypes.create_string_buffer(attributes, _ATTR_BYTES))


def _call(command: int, attributes: "ctypes.Array[ctypes.c_char]") -> int:
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise DevicePolicyError(f"the lab does not know the number of bpf(2) on {platform.machine()}; it runs on {' and '.join(_SYSCALL)}")
    result: int = ctypes.CDLL(None, use_errno=True).syscall(number, command, attributes, len(attributes))
    if result < 0:
        error = os.strerror(ctypes.get_errno())
        raise DevicePolicyError(
            f"the kernel does not take the list of devices that a host may use: bpf(2), command {command}: {error} "
            "(the lab needs a kernel with CONFIG_CGROUP_BPF, and CAP_BPF or CAP_SYS_ADMIN)"
        )
    return result


def _instruction(code: int, *, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """One instruction: struct bpf_insn, whose second byte holds both registers."""
    return struct.pack("=BBhi", code, source << 4 | to, offset, value)
