"""What becomes of a volume that is to leave a running machine. That the kernel answers so, tests/lab/bare/test_volumes.py shows."""

import asyncio
from pathlib import Path

import pytest

from lab.hypervisor import disks, volumes
from lab.hypervisor.desired import Volume
from lab.hypervisor.disks import Disks
from lab.names import LabNames

VOLUME = "vol-1"


class Guest:
    """Stands for the machine and the kernel behind `lab.hypervisor.volumes`."""

    def __init__(self) -> None:
        self.mounted = False
        self.open = False
        self.done: list[str] = []

    def held(self, _loop: Path) -> bool:
        return self.mounted

    def loops_over(self, _file: Path) -> list[Path]:
        gone = ("detached" in self.done and not self.open) or "torn out" in self.done
        return [] if gone else [Path("/dev/loop9")]

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


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Guest:
    stands_in = Guest()
    for name in ("grow", "size_of", "held", "loops_over", "take_from_running", "detach", "tear_out"):
        monkeypatch.setattr(volumes, name, getattr(stands_in, name))
    return stands_in


@pytest.fixture
def machine() -> Disks:
    """A machine with one volume."""
    made = Disks(LabNames.of("unit"))
    made.begin([Volume(volume_id=VOLUME, size_gib=10)])
    return made


def take(machine: Disks) -> None:
    asyncio.run(machine.take(1, VOLUME))


def test_a_volume_that_nobody_uses_leaves_at_once(guest: Guest, machine: Disks) -> None:
    take(machine)
    assert (machine.given, machine.held) == (frozenset(), frozenset())
    assert guest.done == ["device removed", "detached"]


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
