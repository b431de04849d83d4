"""What becomes of a volume that is to leave a running machine. That the kernel answers so, tests/lab/bare/test_volumes.py shows."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from lab.hypervisor import device_policy, disks, volumes
from lab.hypervisor.desired import Volume
from lab.hypervisor.device_policy import Device
from lab.hypervisor.disks import Disks
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

    def held(self, _loop: Path) -> bool:
        return self.mounted

    def loops_over(self, _file: Path) -> list[Path]:
        gone = ("detached" in self.done and not self.open) or "torn out" in self.done
        return [] if gone else [LOOP]

    def take_from_running(self, _leader: int, _volume_id: str) -> None:
        self.done.append("device removed")

    def grow(self, _file: Path, size_gib: int) -> None:
        self.done.append(f"grown to {size_gib}")

    def size_of(self, _file: Path) -> int:
        return 10

    def detach(self, _file: Path) -> None:
        self.done.append("detached")

    def tear_out(self, _file: Path) -> None:
        self.done.append("torn out")

    def attach(self, _file: Path, _size_gib: int) -> Path:
        return LOOP

    def give_to_running(self, _leader: int, _volume_id: str, loop: Path) -> None:
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
    for name in ("grow", "size_of", "held", "loops_over", "take_from_running", "detach", "tear_out", "attach", "give_to_running"):
        monkeypatch.setattr(volumes, name, getattr(stands_in, name))
    monkeypatch.setattr(device_policy, "permit", stands_in.permit)
    monkeypatch.setattr(Device, "of", stands_in.device)
    return stands_in


@pytest.fixture
def machine() -> Disks:
    """A machine with one volume."""
    made = Disks(LabNames.of("unit"))
    made.begin([Volume(volume_id=VOLUME, size_gib=10)])
    return made


def take(machine: Disks) -> None:
    asyncio.run(machine.take(1, VOLUME, GROUP))


def test_a_volume_that_nobody_uses_leaves_at_once(guest: Guest, machine: Disks) -> None:
    take(machine)
    assert (machine.given, machine.held) == (frozenset(), frozenset())
    assert guest.done == ["device removed", "detached"]


def test_a_machine_may_open_the_volumes_that_it_has_and_no_other(guest: Guest) -> None:
    machine = Disks(LabNames.of("unit"))
    asyncio.run(machine.give(1, Volume(volume_id=VOLUME, size_gib=10), GROUP))
    assert (guest.permitted, guest.done) == ([LOOP], ["device made"])
    guest.mounted = True
    take(machine)
    assert guest.permitted == [LOOP], "it still holds it"
    guest.mounted = False
    take(machine)
    assert guest.permitted == []


def test_a_mounted_volume_stays_until_it_is_not(guest: Guest, machine: Disks) -> None:
    guest.mounted = True
    take(machine)
    assert (machine.given, machine.held, guest.done) == ({VOLUME}, {VOLUME}, [])
    machine.look_again()
    assert machine.held == frozenset()
    guest.mounted = False
    take(machine)
    assert machine.given == frozenset()


def test_a_device_that_is_open_is_shut_to_others_and_leaves_with_its_last_user(guest: Guest, machine: Disks) -> None:
    guest.open = True
    take(machine)
    assert (machine.given, guest.done) == ({VOLUME}, ["device removed", "detached"])
    guest.open = False
    machine.look_again()
    take(machine)
    assert machine.given == frozenset()


def test_what_an_earlier_daemon_left_plugged_in_is_not_forgotten(guest: Guest) -> None:
    adopted = Disks(LabNames.of("unit"))
    assert adopted.recall(VOLUME)
    take(adopted)
    assert guest.done == ["device removed", "detached"]
    assert not adopted.recall(VOLUME)


def test_force_does_not_ask(guest: Guest, machine: Disks) -> None:
    guest.mounted = True
    take(machine)
    machine.force(VOLUME)
    assert machine.held == frozenset(), "it is to be taken now"
    take(machine)
    assert (machine.given, guest.done) == (frozenset(), ["device removed", "torn out"])


def test_force_is_for_one_detach_alone(guest: Guest, machine: Disks) -> None:
    machine.force(VOLUME)
    machine.end()
    machine.begin([Volume(volume_id=VOLUME, size_gib=10)])
    guest.mounted = True
    take(machine)
    assert machine.given == {VOLUME}


def test_a_volume_held_for_long_turns_busy_once(guest: Guest, machine: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    guest.mounted = True
    assert not machine.turned_busy(VOLUME)
    take(machine)
    assert not machine.turned_busy(VOLUME)
    monkeypatch.setattr(disks, "BUSY_AFTER", 0.0)
    assert machine.turned_busy(VOLUME)
    assert not machine.turned_busy(VOLUME)


def test_a_volume_grows_while_the_machine_has_it(guest: Guest, machine: Disks) -> None:
    guest.mounted = True
    asyncio.run(machine.grow(Volume(volume_id=VOLUME, size_gib=14)))
    assert guest.done == ["grown to 14"]
    assert (machine.given, machine.sizes) == ({VOLUME}, {VOLUME: 14})
    machine.end()
    assert machine.sizes == {}


def test_a_later_daemon_learns_the_sizes_from_the_devices(guest: Guest) -> None:
    del guest
    adopting = Disks(LabNames.of("unit"))
    adopting.adopt([VOLUME])
    assert (adopting.given, adopting.sizes) == ({VOLUME}, {VOLUME: 10})
