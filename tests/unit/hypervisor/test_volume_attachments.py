"""What becomes of a volume that is to leave a running machine. That the kernel answers so, tests/lab/bare/test_volumes.py shows."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from lab.hypervisor import device_policy, volume_attachments, volumes
from lab.hypervisor.desired import Volume
from lab.hypervisor.device_policy import Device
from lab.hypervisor.volume_attachments import VolumeAttachments
from lab.names import LabNames

VOLUME = "vol-1"
GROUP = Path("/group/of/the/machine")
LOOP = Path("/dev/loop9")


class Guest:
    """Stands for the machine and the kernel behind `lab.hypervisor.volumes`."""

    def __init__(self) -> None:
        self.mounted = False
        self.open = False
        self.done: list[str] = []
        self.permitted: list[Path] | None = None
        """The devices that the machine's processes may open, once somebody said which."""

    def in_use(self, _loop: Path) -> bool:
        return self.mounted

    def loops_of_file(self, _file: Path) -> list[Path]:
        gone = ("detached" in self.done and not self.open) or "torn out" in self.done
        return [] if gone else [LOOP]

    def detach_from_guest(self, _leader: int, _volume_id: str) -> None:
        self.done.append("device removed")

    def grow(self, _file: Path, size_gib: int) -> None:
        self.done.append(f"grown to {size_gib}")

    def size_of(self, _file: Path) -> int:
        return 10

    def detach(self, _file: Path) -> None:
        self.done.append("detached")

    def force_detach(self, _file: Path) -> None:
        self.done.append("torn out")

    def attach(self, _file: Path, _size_gib: int) -> Path:
        return LOOP

    def attach_to_guest(self, _leader: int, _volume_id: str, loop: Path) -> None:
        assert self.permitted == [loop], "before the guest finds the device it may open it"
        self.done.append("device made")

    def device(self, loop: Path) -> Path:
        return loop

    def permit(self, group: Path, devices: Iterable[Path]) -> None:
        assert group == GROUP
        self.permitted = list(devices)


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Guest:
    stands_in = Guest()
    for name in ("grow", "size_of", "in_use", "loops_of_file", "detach_from_guest", "detach", "force_detach", "attach", "attach_to_guest"):
        monkeypatch.setattr(volumes, name, getattr(stands_in, name))
    monkeypatch.setattr(device_policy, "permit", stands_in.permit)
    monkeypatch.setattr(Device, "of", stands_in.device)
    return stands_in


@pytest.fixture
def machine() -> VolumeAttachments:
    """A machine with one volume."""
    made = VolumeAttachments(LabNames.of("unit"))
    made.on_started([Volume(volume_id=VOLUME, size_gib=10)])
    return made


def take(machine: VolumeAttachments) -> None:
    asyncio.run(machine.detach(1, VOLUME, GROUP))


def test_a_volume_that_nobody_uses_leaves_at_once(guest: Guest, machine: VolumeAttachments) -> None:
    take(machine)
    assert (machine.attached, machine.busy) == (frozenset(), frozenset())
    assert guest.done == ["device removed", "detached"]


def test_a_machine_may_open_the_volumes_that_it_has_and_no_other(guest: Guest) -> None:
    machine = VolumeAttachments(LabNames.of("unit"))
    asyncio.run(machine.attach(1, Volume(volume_id=VOLUME, size_gib=10), GROUP))
    assert (guest.permitted, guest.done) == ([LOOP], ["device made"])
    guest.mounted = True
    take(machine)
    assert guest.permitted == [LOOP], "it still holds it"
    guest.mounted = False
    take(machine)
    assert guest.permitted == []


def test_a_mounted_volume_stays_until_it_is_not(guest: Guest, machine: VolumeAttachments) -> None:
    guest.mounted = True
    take(machine)
    assert (machine.attached, machine.busy, guest.done) == ({VOLUME}, {VOLUME}, [])
    machine.clear_busy()
    assert machine.busy == frozenset()
    guest.mounted = False
    take(machine)
    assert machine.attached == frozenset()


def test_a_device_that_is_open_is_shut_to_others_and_leaves_with_its_last_user(guest: Guest, machine: VolumeAttachments) -> None:
    guest.open = True
    take(machine)
    assert (machine.attached, guest.done) == ({VOLUME}, ["device removed", "detached"])
    guest.open = False
    machine.clear_busy()
    take(machine)
    assert machine.attached == frozenset()


def test_what_an_earlier_daemon_left_plugged_in_is_not_forgotten(guest: Guest) -> None:
    adopted = VolumeAttachments(LabNames.of("unit"))
    assert adopted.rediscover(VOLUME)
    take(adopted)
    assert guest.done == ["device removed", "detached"]
    assert not adopted.rediscover(VOLUME)


def test_force_does_not_ask(guest: Guest, machine: VolumeAttachments) -> None:
    guest.mounted = True
    take(machine)
    machine.force_next_detach(VOLUME)
    assert machine.busy == frozenset(), "it is to be taken now"
    take(machine)
    assert (machine.attached, guest.done) == (frozenset(), ["device removed", "torn out"])


def test_force_is_for_one_detach_alone(guest: Guest, machine: VolumeAttachments) -> None:
    machine.force_next_detach(VOLUME)
    machine.on_stopped()
    machine.on_started([Volume(volume_id=VOLUME, size_gib=10)])
    guest.mounted = True
    take(machine)
    assert machine.attached == {VOLUME}


def test_a_volume_held_for_long_turns_busy_once(guest: Guest, machine: VolumeAttachments, monkeypatch: pytest.MonkeyPatch) -> None:
    guest.mounted = True
    assert not machine.became_busy(VOLUME)
    take(machine)
    assert not machine.became_busy(VOLUME)
    monkeypatch.setattr(volume_attachments, "BUSY_AFTER", 0.0)
    assert machine.became_busy(VOLUME)
    assert not machine.became_busy(VOLUME)


def test_a_volume_grows_while_the_machine_has_it(guest: Guest, machine: VolumeAttachments) -> None:
    guest.mounted = True
    asyncio.run(machine.grow(Volume(volume_id=VOLUME, size_gib=14)))
    assert guest.done == ["grown to 14"]
    assert (machine.attached, machine.sizes) == ({VOLUME}, {VOLUME: 14})
    machine.on_stopped()
    assert machine.sizes == {}


def test_a_later_daemon_learns_the_sizes_from_the_devices(guest: Guest) -> None:
    del guest
    adopting = VolumeAttachments(LabNames.of("unit"))
    adopting.adopt([VOLUME])
    assert (adopting.attached, adopting.sizes) == ({VOLUME}, {VOLUME: 10})
