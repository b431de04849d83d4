"""The configuration object on a host: at a boot, on a running host, and where something is wrong with it."""

import hashlib
import json
import os
import pwd
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from webstack_host import aws, backoff, config, configure, desired_config, files, imds, readiness, reconfigure
from webstack_host.desired_config import DesiredConfig
from webstack_host.errors import PermanentError
from webstack_host.readiness import CheckResult
from webstack_host.reconfigure import ConfigReconciler
from webstack_host.report import Reporter
from webstack_host.variables import Configuration, HostVariables

from .conftest import HOST, FakePrograms, returning

USER_DATA = b"#cloud-config\n"
OWN = hashlib.sha256(USER_DATA).hexdigest()
KEY = "configuration/lb-1.yaml"
LOADED = replace(HOST, configuration_key=KEY)


@dataclass(frozen=True, kw_only=True)
class BalancerConfiguration(Configuration):
    """What a reload applies."""

    balance: str
    weight: int = 1
    """New in this release."""


@dataclass(frozen=True, kw_only=True)
class BalancerVariables(HostVariables, BalancerConfiguration):
    """All that the host is told."""

    configuration: ClassVar[type[Configuration]] = BalancerConfiguration


def body(balance: str = "roundrobin", *, user_data: str = OWN, **more: str | int) -> bytes:
    document = {
        "host": "lb-1",
        "user_data_sha256": user_data,
        "values": {"balance": balance, **more},
        "files": [{"path": "/etc/haproxy/haproxy.cfg", "content": f"balance {balance}\n"}],
    }
    return yaml.safe_dump(document).encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Balancer:
    """A role whose program refuses `sideways`, and whose reload fails for `stuck`."""

    metadata_users: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.installed = ""
        self.certificate = self.served = "first"
        self.reloads: list[str] = []
        self.away = 0
        self.again = 300.0
        self.check_ok = True

    def configure(self) -> None:
        """Nothing to do."""

    def apply_configuration(self, desired: DesiredConfig) -> bool:
        if self.away:
            self.away -= 1
            raise ConnectionError("Secrets Manager is away")
        if "sideways" in desired.parse_values(BalancerConfiguration).balance:
            raise PermanentError("haproxy -c: exit code 1\nunknown algorithm")
        file = desired.files["/etc/haproxy/haproxy.cfg"]
        changed = (file, self.certificate) != (self.installed, self.served)
        self.installed, self.served = file, self.certificate
        return changed

    def reapply_interval(self, desired: DesiredConfig) -> float:
        desired.parse_values(BalancerConfiguration)
        return self.again

    def reload(self) -> None:
        if "stuck" in self.installed:
            raise PermanentError("HAProxy did not take over its new configuration")
        self.reloads.append(self.installed)

    def check(self) -> CheckResult:
        return CheckResult(ok=self.check_ok, reason="serves" if self.check_ok else "no web host is up")


class Host:
    """A load balancer's disk, its object in the bucket, and a clock that only sleeping moves."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.content = body()
        self.api_down_until = -1.0
        self.now = 0.0
        self.at: dict[float, bytes] = {}
        self.said: list[tuple[str, str, dict[str, object]]] = []
        self.role = Balancer()
        write, me = files.write, pwd.getpwuid(os.getuid()).pw_name

        def as_me(path: str | Path, content: str | bytes) -> bool:
            return write(path, content, owner=me, group=me)

        monkeypatch.setattr(files, "write", as_me)
        monkeypatch.setattr(aws, "fetch_object", self.fetch)
        monkeypatch.setattr(imds, "user_data", returning(USER_DATA))
        monkeypatch.setattr(desired_config, "APPLIED_PATH", root / "configuration.yaml")
        monkeypatch.setattr(desired_config, "FAILURE_PATH", root / "problem.json")
        (root / "host.json").write_text(json.dumps(asdict(LOADED)))
        monkeypatch.setattr(config, "PATH", str(root / "host.json"))
        monkeypatch.setattr(config, "VALUES_PATH", str(root / "configuration.json"))
        for module in (reconfigure, configure):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.content = self.at.pop(moment)

    def fetch(self, key: str) -> bytes:
        assert key == KEY
        if self.now < self.api_down_until:
            raise ConnectionError("no route")
        return self.content

    def say(self, state: readiness.State, found: CheckResult) -> bool:
        self.said.append((state, found.reason, desired_config.record_fields()))
        return True

    def boot(self) -> None:
        configure.run_until_ready(LOADED, lambda: self.role, publish=self.say)

    def running(self) -> ConfigReconciler:
        """What runs once the host serves: this and the reporter, which has told so."""
        self.reporter = Reporter(lambda: self.role.check(), self.tell, clock=self.monotonic, jitter=returning(0.0))
        self.reporter.step()
        self.said.clear()
        return ConfigReconciler(LOADED, self.role)

    def tell(self, state: readiness.State, found: CheckResult, news: bool) -> bool:
        return self.say(state, found) if news else True

    def steps(self, following: ConfigReconciler, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            following.step(self.now)
            self.reporter.step()
            self.sleep(reconfigure.POLL_INTERVAL)

    @property
    def in_force(self) -> str:
        """The hash that the host tells."""
        return str(desired_config.record_fields().get("configuration_sha256"))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: FakePrograms) -> Host:
    monkeypatch.setattr(configure, "PACKAGE_POLICY", tmp_path / "policy-rc.d")
    return Host(tmp_path, monkeypatch)


def test_a_boot_puts_the_object_in_force_before_anything_serves(host: Host, programs: FakePrograms) -> None:
    host.boot()
    assert host.role.installed == "balance roundrobin\n"
    assert host.said[-1][:2] == ("ready", "serves")
    assert host.said[-1][2] == {"configuration_sha256": sha256(body()), "configuration_problem": None}
    assert Path(config.VALUES_PATH).read_text() == '{\n  "balance": "roundrobin"\n}\n'


def test_a_boot_between_two_stops_starts_nothing_and_waits_for_the_stop(host: Host, programs: FakePrograms) -> None:
    host.content = body(user_data="0" * 64)
    host.at[100] = body("leastconn")  # the change was taken back: this boot's user data is the wanted one after all
    host.boot()
    assert [state for state, _, _ in host.said] == ["starting", "starting", "ready"]
    assert host.said[1][1] == "not configured: waits for the stop that brings its new user data"
    assert host.now >= 100
    assert host.role.installed == "balance leastconn\n"


def test_a_stop_that_never_comes_keeps_no_host_down(host: Host, programs: FakePrograms, capsys: pytest.CaptureFixture[str]) -> None:
    host.content = body(user_data="0" * 64)
    started: list[float] = []
    host.role.configure = lambda: started.append(host.now)
    host.boot()
    assert len(started) == 1
    assert 300 <= started[0] <= 300 + backoff.MAXIMUM
    assert "newer user data was announced and did not come within 300 s (was `up` interrupted?)" in capsys.readouterr().err


def test_a_role_that_reloads_nothing_waits_for_its_user_data_all_the_same(host: Host, programs: FakePrograms) -> None:
    class Database:
        metadata_users: tuple[str, ...] = ()

        def configure(self) -> None:
            assert host.now >= 50, "nothing of MySQL is touched before"

        def check(self) -> CheckResult:
            return CheckResult(ok=True, reason="leads")

    host.content, host.at[50] = body(user_data="0" * 64), body()
    configure.run_until_ready(LOADED, Database, publish=host.say)
    assert host.said[-1][:2] == ("ready", "leads")


def test_without_the_api_a_host_starts_with_what_was_in_force_and_a_new_one_waits(host: Host, programs: FakePrograms) -> None:
    host.api_down_until = 90
    host.boot()
    assert host.now >= 90, "there is nothing to go on with yet"
    host.api_down_until, began = host.now + 1000, host.now
    host.boot()
    assert host.now - began < 60
    assert host.in_force == sha256(body())


def test_an_object_that_is_refused_at_a_boot_leaves_the_host_with_the_old_one(host: Host, programs: FakePrograms) -> None:
    host.boot()
    host.content = body("sideways")
    host.boot()
    state, _, told = host.said[-1]
    assert state == "ready"
    assert told["configuration_sha256"] == sha256(body())
    assert told["configuration_problem"] == {
        "sha256": sha256(host.content),
        "refused": True,
        "reason": "haproxy -c: exit code 1",
        "detail": ["unknown algorithm"],
    }
    assert host.role.installed == "balance roundrobin\n"


def test_a_new_host_whose_object_is_refused_has_failed_until_a_good_one_comes(host: Host, programs: FakePrograms) -> None:
    host.content, host.at[40] = body("sideways"), body()
    host.boot()
    assert ("failed", "not configured: haproxy -c: exit code 1") in [(state, reason) for state, reason, _ in host.said]
    assert host.said[-1][:2] == ("ready", "serves")


def test_a_changed_object_is_in_force_within_seconds_by_one_reload_and_is_told_once(host: Host, programs: FakePrograms) -> None:
    host.boot()
    host.role.reloads.clear()
    following = host.running()
    host.steps(following, 30)
    assert host.role.reloads == [], "what a boot has put in force needs no reload"
    host.content = body("leastconn")
    host.steps(following, 60)
    assert host.role.reloads == ["balance leastconn\n"]
    assert host.said == [("ready", "serves", {"configuration_sha256": sha256(host.content), "configuration_problem": None})]


def test_a_reload_after_which_the_host_does_not_serve_is_not_told_as_ready(host: Host, programs: FakePrograms) -> None:
    host.boot()
    following = host.running()
    host.content, host.role.check_ok = body("leastconn"), False
    host.steps(following, 20)
    assert {state for state, _, _ in host.said} == {"unready"}
    host.role.check_ok = True
    host.steps(following, 10)
    assert host.said[-1] == ("ready", "serves", {"configuration_sha256": sha256(host.content), "configuration_problem": None})


@pytest.mark.parametrize("bad", ["sideways", "stuck"])
def test_a_refused_object_changes_nothing_is_told_and_a_good_one_heals_it(host: Host, programs: FakePrograms, bad: str) -> None:
    host.boot()
    following = host.running()
    host.content = body(bad)
    host.steps(following, 60)
    assert host.role.installed == "balance roundrobin\n"
    (told,) = [told for _, _, told in host.said]
    problem: Any = told["configuration_problem"]
    assert (problem["sha256"], problem["refused"]) == (sha256(host.content), True)
    assert told["configuration_sha256"] == sha256(body())
    host.content = body()
    host.steps(following, 10)
    assert host.said[-1][2]["configuration_problem"] is None


def test_what_may_go_by_is_tried_again_and_is_no_refusal(host: Host, programs: FakePrograms) -> None:
    host.boot()
    following = host.running()
    host.content, host.role.away = body("leastconn"), 2
    host.steps(following, 60)
    problems: list[Any] = [told["configuration_problem"] for _, _, told in host.said]
    assert [(problem or {}).get("refused") for problem in problems] == [False, None]
    assert host.in_force == sha256(host.content)


@pytest.mark.parametrize("again", [45.0, 300.0])
def test_a_renewed_certificate_is_served_as_soon_as_the_role_says_though_the_object_stays(
    host: Host, programs: FakePrograms, again: float
) -> None:
    host.role.again = again
    host.boot()
    host.role.reloads.clear()
    following = host.running()
    host.steps(following, 20)
    host.role.certificate = "renewed"
    host.steps(following, again + 10)
    assert host.role.served == "renewed"
    assert len(host.role.reloads) == 1


def test_a_running_host_leaves_an_object_for_newer_user_data_to_the_boot_that_brings_it(host: Host, programs: FakePrograms) -> None:
    host.boot()
    following = host.running()
    host.role.reloads.clear()
    host.content = body("leastconn", user_data="0" * 64)
    host.steps(following, 30)
    assert (host.role.installed, host.role.reloads, host.said) == ("balance roundrobin\n", [], [])


def test_a_check_knows_the_values_of_the_configuration_that_this_boot_put_in_force(
    host: Host, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come after the host's own file was read: at a first boot it has none of them, later those of the release before."""

    def check() -> CheckResult:
        return CheckResult(ok=True, reason=f"serves by {config.load(BalancerVariables).balance}")

    monkeypatch.setattr(host.role, "check", check)
    host.boot()
    assert host.said[-1][:2] == ("ready", "serves by roundrobin")
    Path(config.VALUES_PATH).write_text('{"algorithm": "source"}')
    host.content = body("leastconn")
    host.boot()
    assert host.said[-1][:2] == ("ready", "serves by leastconn")


def test_values_that_do_not_fit_the_hosts_own_release_are_refused_and_the_old_ones_stay(host: Host, programs: FakePrograms) -> None:
    """An `up` with another release was interrupted: its object is there, and the user data that brings its programs never came."""
    host.boot()
    host.content = body("leastconn", user_data="0" * 64, colour="red")
    host.boot()
    state, _, told = host.said[-1]
    problem: Any = told["configuration_problem"]
    assert (state, told["configuration_sha256"], problem["refused"]) == ("ready", sha256(body()), True)
    assert problem["reason"] == "the configuration object: colour is unknown: BalancerConfiguration has balance, weight"
    assert host.role.installed == "balance roundrobin\n"
    following = host.running()
    host.steps(following, 30)
    assert host.said == [], "a running host does not look at what another boot is to bring"


@pytest.mark.parametrize(("older", "serves"), [(body(), True), (body(colour="red"), False)], ids=["without the new key", "with an old key"])
def test_a_new_release_whose_object_is_refused_returns_to_the_older_one_where_that_fits(
    host: Host, programs: FakePrograms, older: bytes, serves: bool
) -> None:
    desired_config.save_applied(desired_config.parse(older))
    host.content, host.at[40] = body("sideways", weight=2), body("leastconn", weight=2)
    host.boot()
    failed = ("failed", "not configured: haproxy -c: exit code 1")
    assert (failed in [(state, reason) for state, reason, _ in host.said]) != serves, "what is to be mended is the new one"
    assert host.role.installed == ("balance roundrobin\n" if serves else "balance leastconn\n")


def test_values_that_do_not_fit_are_told_by_a_running_host_and_a_good_object_heals_it(host: Host, programs: FakePrograms) -> None:
    host.boot()
    following = host.running()
    host.content = body(colour="red")
    host.steps(following, 60)
    (told,) = [told for _, _, told in host.said]
    problem: Any = told["configuration_problem"]
    assert (problem["refused"], problem["reason"].partition(":")[0]) == (True, "the configuration object")
    host.content = body("leastconn")
    host.steps(following, 10)
    assert host.said[-1][2]["configuration_problem"] is None


@pytest.mark.parametrize("content", [b"", b"[]", b"host: lb-1\n", b"{", b"values: {}\nfiles: 3\nuser_data_sha256: x\n"])
def test_what_is_no_configuration_object_is_named_so(content: bytes) -> None:
    with pytest.raises(PermanentError, match="the configuration object is not readable"):
        desired_config.parse(content)
