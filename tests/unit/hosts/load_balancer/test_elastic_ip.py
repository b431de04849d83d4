"""The Elastic IP: who takes it, and when."""

from pathlib import Path

import pytest
from load_balancer_role import elastic_ip

from tests.unit.hosts.load_balancer.conftest import Ec2


def test_the_address_is_taken_by_one_call_and_never_given_back_first(ec2: Ec2) -> None:
    assert elastic_ip.associate("eipalloc-1")
    assert ec2.calls[1:] == [("AssociateAddress", {"AllocationId": "eipalloc-1", "InstanceId": "i-me", "AllowReassociation": True})]
    assert not elastic_ip.associate("eipalloc-1"), "an address that is here is left alone"
    assert [name for name, _ in ec2.calls].count("AssociateAddress") == 1


class Play:
    """Runs `follow` with a state that changes over time, and notes when it acts."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.acted: list[float] = []
        self.fail: set[int] = set()
        self.states: dict[float, str] = {}
        self.file = tmp_path / "vrrp-state"
        monkeypatch.setattr(elastic_ip, "STATE", self.file)

    def sleep(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)
        if self.now in self.states:
            self.file.write_text(self.states[self.now] + "\n")

    def act(self) -> None:
        self.acted.append(self.now)
        if len(self.acted) in self.fail:
            raise OSError("no route")

    def run(self, seconds: float) -> None:
        elastic_ip.reconcile_loop(self.act, clock=lambda: self.now, sleep=self.sleep, rounds=int(seconds / elastic_ip.POLL_INTERVAL))


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    return Play(tmp_path, monkeypatch)


def test_only_the_master_calls_the_api(play: Play) -> None:
    play.states = {1.0: "BACKUP", 3.0: "FAULT"}
    play.run(40)
    assert play.acted == []


def test_a_new_master_acts_at_once_and_looks_again_because_a_call_can_be_lost(play: Play) -> None:
    play.states = {2.0: "MASTER"}
    play.run(33)
    assert play.acted[0] == 2.0
    assert [round(later - earlier) for earlier, later in zip(play.acted, play.acted[1:], strict=False)] == [15, 15]


def test_a_master_that_was_not_one_for_a_while_acts_at_once_again(play: Play) -> None:
    play.states = {1.0: "MASTER", 2.0: "BACKUP", 3.0: "MASTER"}
    play.run(4)
    assert play.acted == [1.0, 3.0]


def test_a_failed_call_is_repeated_after_a_second(play: Play) -> None:
    play.states, play.fail = {1.0: "MASTER"}, {1}
    play.run(4)
    assert play.acted == [1.0, 2.0]
