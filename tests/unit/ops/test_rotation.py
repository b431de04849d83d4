"""`webstack rotate`, step by step and interrupted between any two, against Secrets Manager's labels and hosts that do their part."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ops.rotation import waiting
from ops.rotation.fleet import FleetHost, StagingLabels
from ops.rotation.waiting import RotationTimeoutError, rotate
from stack.roles import web
from stack.secret_specs import DATABASE_SECRETS, ROTATABLE_SECRETS, SECRET_SPECS, SESSION_KEY


class KilledError(Exception):
    """The command is killed."""


@dataclass
class Site:
    """A stack: labels, and hosts that take over what the labels say one look after another. `kill_at`: the call of AWS that is its last.

    At every moment it is seen to that a password that a host uses is accepted, and that each web host accepts what another signs.
    """

    stages: dict[str, dict[str, str]] = field(
        default_factory=lambda: {purpose: {"current": f"{purpose}-1"} for purpose in ROTATABLE_SECRETS}
    )
    kept: dict[str, str] = field(default_factory=dict[str, str])
    silent: set[str] = field(default_factory=set[str])
    kill_at: int = 10**9
    calls: int = 0
    made: int = 1
    rung: int = 0
    looks: int = 0
    mysql: dict[str, list[str]] = field(init=False)
    replica: dict[str, list[str]] = field(init=False)
    web: dict[str, dict[str, list[str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.mysql = {purpose: [f"{purpose}-1"] for purpose in DATABASE_SECRETS}
        self.replica = {"database-replication": ["database-replication-1"]}
        read = [purpose for purpose in SECRET_SPECS if purpose in ROTATABLE_SECRETS and purpose in web.SPEC.secrets]
        self.web = {name: {purpose: [f"{purpose}-1"] for purpose in read} for name in ("web-1", "web-2")}

    # What `rotate` asks of it.

    def staging_labels(self, purpose: str) -> StagingLabels:
        return StagingLabels(**self.stages[purpose], in_engine_state=self.kept.get(purpose, ""))

    def put_pending(self, purpose: str, value: str) -> None:
        assert len(value) == SECRET_SPECS[purpose].length
        assert value.isalnum()
        self._call()
        self.made += 1
        self.stages[purpose]["pending"] = f"{purpose}-{self.made}"
        self.notify_hosts()

    def promote(self, purpose: str, found: StagingLabels) -> None:
        self._call()
        self.kept.setdefault(purpose, found.current)
        self._call()
        self.stages[purpose] = {"current": found.pending, "previous": found.current}
        self._call()
        self.notify_hosts()

    def retire_previous(self, purpose: str, found: StagingLabels) -> None:
        self._call()
        del self.stages[purpose]["previous"]
        self.notify_hosts()

    def notify_hosts(self) -> None:
        self.rung += 1

    def _call(self) -> None:
        self.calls += 1
        if self.calls > self.kill_at:
            raise KilledError

    # What hosts do.

    def hosts(self) -> list[FleetHost]:
        """One host after another does its part before each look."""
        self.looks += 1
        order = ("web-1", "db-1", "db-2", "web-2")
        self._work(order[self.looks % len(order)])
        return [
            self._word("db-1", "database", self.mysql, role="primary"),
            self._word("db-2", "database", self.replica, role="replica"),
            self._word("lb-1", "load_balancer", {}),
            *(self._word(name, "web", used) for name, used in self.web.items()),
        ]

    def _word(self, name: str, tier: str, used: dict[str, list[str]], **facts: str) -> FleetHost:
        told = {**facts, "secrets": " ".join(f"{purpose}={','.join(ids)}" for purpose, ids in used.items())}
        return FleetHost(name=name, role=tier, instance_id=f"i-{name}", state="running", ready=name not in self.silent, facts=told)

    def _work(self, name: str) -> None:
        if name in self.silent:
            return
        for purpose, stages in self.stages.items():
            current, pending, previous = (stages.get(label, "") for label in ("current", "pending", "previous"))
            if name == "db-1" and purpose in DATABASE_SECRETS:
                self.mysql[purpose] = [one for one in ([pending, current] if pending else [current, previous]) if one]
            elif name == "db-2" and purpose in self.replica:
                self.replica[purpose] = [current]
            elif name in self.web and purpose == SESSION_KEY:
                self.web[name][purpose] = [one for one in (current, pending, previous) if one]
            elif name in self.web and purpose in self.web[name]:
                self.web[name][purpose] = [current]
        self.check()

    def check(self) -> None:
        """Nobody is refused."""
        for used in (*self.web.values(), self.replica):
            for purpose, versions in used.items():
                if purpose in DATABASE_SECRETS:
                    assert versions[0] in self.mysql[purpose], f"{purpose}: {versions[0]} is refused"
        for one, other in itertools.permutations(self.web.values(), 2):
            assert one[SESSION_KEY][0] in other[SESSION_KEY], "one web host refuses what another has signed"


def run(site: Site, *purposes: str, revoke: bool = False, seconds: float = 60, say: Callable[[str], None] = lambda _: None) -> None:
    rotate(site, purposes, revoke=revoke, timeout=seconds, on_progress=say, sleep=lambda _: None)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("purposes", [*((one,) for one in ROTATABLE_SECRETS), ROTATABLE_SECRETS])
def test_every_host_accepts_the_new_one_before_anyone_uses_it_and_none_accepts_the_old_one_in_the_end(purposes: tuple[str, ...]) -> None:
    site = Site()
    run(site, *purposes)
    for purpose in ROTATABLE_SECRETS:
        number = "1" if purpose not in purposes else site.stages[purpose]["current"].rpartition("-")[2]
        assert (number != "1") == (purpose in purposes)
        if purpose in DATABASE_SECRETS:
            assert site.stages[purpose] == {"current": f"{purpose}-{number}"}
            assert site.mysql[purpose] == [f"{purpose}-{number}"]
        assert site.kept.get(purpose) == (f"{purpose}-1" if purpose in purposes else None), "the engine's own version keeps a label"
    assert site.rung > 0


def test_what_the_old_session_key_signed_is_accepted_until_it_is_revoked() -> None:
    site = Site()
    run(site, SESSION_KEY)
    assert [used[SESSION_KEY] for used in site.web.values()] == [[f"{SESSION_KEY}-2", f"{SESSION_KEY}-1"]] * 2
    run(site, SESSION_KEY, revoke=True)
    assert [used[SESSION_KEY] for used in site.web.values()] == [[f"{SESSION_KEY}-3"]] * 2


@pytest.mark.parametrize("revoke", [False, True])
@pytest.mark.parametrize("purpose", ROTATABLE_SECRETS)
def test_a_rotation_that_was_killed_after_any_call_is_finished_by_the_same_command(purpose: str, revoke: bool) -> None:
    revoke = revoke and purpose == SESSION_KEY
    whole = Site()
    run(whole, purpose, revoke=revoke)
    assert whole.calls >= 4
    for kill_at in range(whole.calls):
        site = Site(kill_at=kill_at)
        with pytest.raises(KilledError):
            run(site, purpose, revoke=revoke)
        site.kill_at = 10**9
        run(site, purpose, revoke=revoke)
        site.check()
        assert site.stages[purpose].keys() == whole.stages[purpose].keys()
        assert site.stages[purpose]["current"] != f"{purpose}-1"
        assert site.kept[purpose] == f"{purpose}-1"


@pytest.mark.parametrize("awaited", ["web-1", "db-1", "db-2"])
def test_a_host_that_is_not_there_holds_the_next_step_up_is_named_and_nothing_is_lost(
    awaited: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(silent={awaited})
    moments = itertools.count()
    monkeypatch.setattr(waiting.time, "monotonic", lambda: float(next(moments)))
    said: list[str] = []
    with pytest.raises(RotationTimeoutError) as caught:
        run(site, *ROTATABLE_SECRETS, say=said.append)
    assert f"{awaited}: " in str(caught.value)
    assert "it does not serve" in str(caught.value)
    assert "Run the same command again to continue" in str(caught.value)
    assert len(said) == len(set(said)), "each thing is told once"
    site.check()
    site.silent.clear()
    run(site, *ROTATABLE_SECRETS)
    assert all(len(site.mysql[purpose]) == 1 for purpose in DATABASE_SECRETS)


def test_a_password_that_others_have_changed_is_taken_over_before_the_old_one_goes() -> None:
    site = Site()
    site.stages["app-writer"] = {"current": "app-writer-9", "previous": "app-writer-1"}
    run(site, "app-writer")
    assert site.mysql["app-writer"] == ["app-writer-9"]
    assert {used["app-writer"][0] for used in site.web.values()} == {"app-writer-9"}
