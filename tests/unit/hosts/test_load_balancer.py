"""A load balancer's programs: certificates, the Elastic IP, what HAProxy says, and when the host calls itself ready."""

import os
import pwd
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_balancer_role import checks, configuration, elastic_ip, haproxy, servers, tls
from webstack_host import aws, files, imds, internal_tls, services
from webstack_host.api_cache import CachedQuery
from webstack_host.errors import PermanentError
from webstack_host.http_check import CheckResponse

from ..userdata.test_host_files import LOAD_BALANCER
from .conftest import FakePrograms, returning

CONFIG = replace(LOAD_BALANCER, elastic_ip_allocation_id="eipalloc-1")
PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\ny\n-----END PRIVATE KEY-----"


class Ec2:
    """Elastic IPs, and every call in order."""

    def __init__(self, holder: str | None) -> None:
        self.holder = holder
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def describe_addresses(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(("DescribeAddresses", arguments))
        return {"Addresses": [{"AllocationId": "eipalloc-1", **({"InstanceId": self.holder} if self.holder else {})}]}

    def associate_address(self, **arguments: Any) -> None:
        self.calls.append(("AssociateAddress", arguments))
        self.holder = arguments["InstanceId"]


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Ec2:
    fake = Ec2("i-other")
    monkeypatch.setattr(aws, "ec2", returning(fake))
    monkeypatch.setattr(imds, "instance_id", returning("i-me"))
    return fake


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


STAT = """# pxname,svname,status,check_status,check_code,last_chk,addr,
https,FRONTEND,OPEN,,,,,
web,web1,UP,* L7OK,200,HTTP status check returned code <3C>200<3E>,10.20.64.5:8443,
web,web2,DOWN,L4CON,,Connection refused,10.20.80.4:8443,
web,web3,MAINT (resolution),,,,,
web,BACKEND,UP,,,,,
web-writes,web1,UP,L7OK,200,HTTP status check returned code <3C>200<3E>,10.20.64.5:8443,
web-writes,web2,DOWN,L4CON,,Connection refused,10.20.80.4:8443,
web-writes,BACKEND,UP,,,,,
"""


def test_servers_without_an_address_do_not_count() -> None:
    found = haproxy.servers(STAT, "web")
    assert [(server.name, server.address, server.up) for server in found] == [("web1", "10.20.64.5", True), ("web2", "10.20.80.4", False)]


REFUSED = STAT.replace("DOWN,L4CON,,Connection refused", "DOWN,L7STS,400,HTTP status check returned code <3C>400<3E>")


@pytest.mark.parametrize(
    ("stat", "up", "down", "serving"),
    [
        (STAT, "10.20.64.5", "10.20.80.4: L4CON Connection refused", 1),
        (REFUSED, "10.20.64.5", "10.20.80.4: L7STS 400", 1),
        (STAT.replace("web-writes,web1,UP", "web-writes,web1,DOWN"), "", "10.20.64.5: checks have not passed often enough yet; *", 0),
        (STAT.replace("web-writes,web1,UP,L7OK,200", "web-writes,web1,UP 1/2,L7STS,503"), "", "10.20.64.5: L7STS 503; *", 1),
        (STAT.replace("web,web1,UP,* L7OK,200", "web,web1,UP 1/2,INI,"), "", "10.20.64.5: not checked yet; *", 1),
        (
            STAT.replace("web,web1,UP,* L7OK,200", "web,web1,UP 1/2,L7OK,200"),
            "",
            "10.20.64.5: checks have not passed often enough yet; *",
            1,
        ),
        (STAT.replace("web-writes,web1,UP", "web-writes,web1,MAINT"), "", "10.20.64.5: not checked yet; *", 0),
        (STAT.replace("web,web2,", "web,standby2,").replace("DOWN,L4CON,,", "UP,L7OK,200,"), "10.20.64.5 10.20.80.4", "", 2),
    ],
    ids=[
        "one is away",
        "one refuses",
        "down for writes",
        "about to go down",
        "just named",
        "named where another was",
        "half named",
        "standby",
    ],
)
def test_a_web_host_is_up_once_both_backends_have_checked_it_at_its_address(stat: str, up: str, down: str, serving: int) -> None:
    found = servers.summarize(stat)
    told = found.facts()
    assert told == {"servers_up": up, "servers_down": down.replace("*", "10.20.80.4: L4CON Connection refused")}
    assert found.serving == serving


def test_addresses_are_sorted_as_numbers() -> None:
    stat = STAT.replace("10.20.64.5", "10.20.64.10").replace("10.20.80.4", "10.20.64.9").replace("DOWN,L4CON,,", "UP,L7OK,200,")
    assert servers.summarize(stat).up == ("10.20.64.9", "10.20.64.10")


@pytest.mark.parametrize(
    ("code", "change"),
    [(400, "the hosts that it allows must hold shop.example"), (301, "without a redirect"), (404, "web.checkPath must name"), (503, "")],
)
def test_what_an_app_is_to_change_is_told_by_haproxys_last_check(code: int, change: str) -> None:
    lines = servers.summarize(REFUSED.replace("400", str(code))).problems("shop.example")
    assert lines[0] == f"10.20.80.4: L7STS {code}"
    assert len(lines) == (2 if change else 1)
    assert change in lines[-1]


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, programs: FakePrograms, ec2: Ec2) -> dict[str, Any]:
    """Everything as it is on a ready load balancer; a test takes one thing away."""
    world: dict[str, Any] = {"stat": STAT, "status": 200, "master": True, "now": 0.0}
    ec2.holder = "i-me"

    def ask(_: str) -> str:
        return world["stat"]

    def https(site: str) -> CheckResponse:
        assert site == CONFIG.domain
        return CheckResponse(status=world["status"], body="sorry")

    def is_master() -> bool:
        return world["master"]

    monkeypatch.setattr(checks, "HOLDER_CACHE", CachedQuery[str](clock=lambda: world["now"]))
    monkeypatch.setattr(haproxy, "query", ask)
    monkeypatch.setattr(checks, "get_healthz", https)
    monkeypatch.setattr(elastic_ip, "is_master", is_master)
    return world


def test_a_load_balancer_that_serves_is_ready_and_says_where_the_address_is(running: dict[str, Any]) -> None:
    found = checks.check(CONFIG)
    assert found.ok
    told = {"servers_up": "10.20.64.5", "servers_down": "10.20.80.4: L4CON Connection refused"}
    assert found.facts == {"elastic_ip": "198.51.100.7", "active": "true", **told}
    assert found.reason == "serves HTTPS from 1 web host"


NONE = "none of 2 web hosts is up"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stat": REFUSED.replace("UP,* L7OK,200", "DOWN,L7STS,301")}, f"{NONE}: 10.20.64.5: L7STS 301; 10.20.80.4: L7STS 400"),
        ({"stat": REFUSED.replace("UP,L7OK,200", "DOWN,L4TOUT,")}, f"{NONE}: 10.20.64.5: L4TOUT *; 10.20.80.4: L7STS 400"),
        ({"stat": STAT.replace("UP,", "DOWN,").replace("web2,DOWN", "web2,MAINT")}, "the only web host is not up: *"),
        ({"stat": "# pxname,svname,status,check_status,check_code,last_chk,addr,\n"}, "DNS names no web host yet"),
        ({"status": 503}, "HTTPS answers /healthz (Host 198.51.100.7) with 503"),
    ],
)
def test_what_is_missing_is_the_reason(running: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    running.update(change)
    found = checks.check(CONFIG)
    assert not found.ok
    assert re.fullmatch(re.escape(reason).replace(r"\*", ".*"), found.reason), found.reason
    assert "servers_up" in found.facts, "they are told also by one that does not serve"


def test_readiness_includes_the_association(running: dict[str, Any], ec2: Ec2) -> None:
    ec2.holder = None
    assert checks.check(CONFIG).reason == "198.51.100.7 is not associated with this host yet"
    running["master"] = False
    assert checks.check(CONFIG).reason == "keepalived has not become MASTER"
    ec2.holder = "i-other"
    assert checks.check(CONFIG).ok, "a standby is ready while the other holds the address"


def test_ec2_is_asked_twice_a_minute_for_as_long_as_all_is_well_and_at_once_for_a_new_master(running: dict[str, Any], ec2: Ec2) -> None:
    for second in range(0, 600, 5):
        running["now"] = float(second)
        assert checks.check(CONFIG).ok
    assert len(ec2.calls) == 20
    running["master"], ec2.holder = False, "i-other"
    assert checks.check(CONFIG).facts["active"] == "false"
    running["master"] = True
    assert not checks.check(CONFIG).ok
    ec2.holder = "i-me"
    assert checks.check(CONFIG).ok, "what is not as it should be is asked for at each look"


def test_an_api_that_does_not_answer_makes_no_load_balancer_that_serves_look_failed(
    running: dict[str, Any], ec2: Ec2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(_: str) -> str:
        raise ConnectionError("RequestLimitExceeded")

    holder = elastic_ip.current_holder
    monkeypatch.setattr(elastic_ip, "current_holder", throttled)
    found = checks.check(CONFIG)
    assert (found.ok, found.unverified) == (True, "the Elastic IP cannot be asked for: RequestLimitExceeded")
    monkeypatch.setattr(elastic_ip, "current_holder", holder)
    before = checks.check(CONFIG)
    monkeypatch.setattr(elastic_ip, "current_holder", throttled)
    running["now"] = 1000.0
    assert checks.check(CONFIG) == before, "the last answer stands"


def test_a_service_that_does_not_run_is_the_reason(
    running: dict[str, Any], programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.answers["systemctl is-active --quiet keepalived.service"] = (3, "")
    assert checks.check(CONFIG).reason == "keepalived does not run"
    programs.answers = {"systemctl is-active --quiet webstack-firewall.service": (3, "")}
    assert checks.check(CONFIG).reason == "the firewall's rules are not in force"

    def refused(_: str) -> str:
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(haproxy, "query", refused)
    assert checks.check(CONFIG).reason == "HAProxy does not run: refused"


def test_configuring_checks_each_file_by_its_own_program(programs: FakePrograms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(services, "UNITS", tmp_path)
    monkeypatch.setattr(files, "directory", returning(None))
    monkeypatch.setattr(internal_tls, "key_and_certificate", returning(("key", "certificate")))
    written: dict[str, str] = {}
    monkeypatch.setattr(files, "write", lambda path, content, **_: written.update({str(path): content}))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    configuration.configure()
    assert written == {"/run/webstack/web.pem": "certificate"}, "a load balancer keeps no key of web hosts"
    lines = [" ".join(call) for call in programs.calls]
    assert "sysctl --quiet --write net.ipv4.tcp_retries2=15" in lines, "visitors' connections have it too"
    assert "keepalived --config-test --log-console --use-file /etc/keepalived/keepalived.conf" in lines


class Disk:
    """The files that an installation writes, below a folder, and what HAProxy was shown when it was asked."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.served, self.config = root / "run", root / "run/tls.pem", root / "haproxy.cfg"
        self.run.mkdir()
        self.refuses = ""
        self.shown: list[tuple[str, str]] = []
        write = files.write
        me = pwd.getpwuid(os.getuid()).pw_name

        def as_me(path: str | Path, content: str | bytes, *, mode: int = 0o644) -> bool:
            return write(path, content, owner=me, group=me, mode=mode)

        def haproxy(command: list[str | Path]) -> None:
            assert command[:3] == ["haproxy", "-c", "-f"], "quiet, it would not say what is wrong"
            text = Path(command[3]).read_text()
            (certificate,) = [line.split()[-1] for line in text.splitlines() if line.startswith("bind")]
            assert Path(certificate).stat().st_mode & 0o777 == 0o600
            self.shown.append((text.replace(certificate, "PEM"), Path(certificate).read_text()))
            if self.refuses in text and self.refuses:
                raise PermanentError("haproxy -c: exit code 1\nunknown keyword")

        monkeypatch.setattr(files, "write", as_me)
        monkeypatch.setattr(configuration, "validate", haproxy)
        monkeypatch.setattr(configuration, "RUN_FOLDER", str(self.run))
        monkeypatch.setattr(configuration, "HAPROXY_CONFIG", str(self.config))
        monkeypatch.setattr(tls, "SERVED_FILE", self.served)
        monkeypatch.setattr(tls, "pem", returning(PEM))

    def install(self, text: str) -> bool:
        return configuration.apply_configuration(CONFIG, {str(self.config): text})


def test_configuration_and_certificate_are_tried_together_before_either_is_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    text = f"bind :443 ssl crt {disk.served}\n"
    assert disk.install(text)
    assert disk.shown == [("bind :443 ssl crt PEM\n", PEM)]
    assert (disk.config.read_text(), disk.served.read_text()) == (text, PEM)
    assert not disk.install(text), "nothing changed"
    disk.refuses = "sideways"
    monkeypatch.setattr(tls, "pem", returning("another"))
    with pytest.raises(PermanentError, match="unknown keyword"):
        disk.install(text + "balance sideways\n")
    assert (disk.config.read_text(), disk.served.read_text()) == (text, PEM), "the old ones stay"
    assert sorted(path.name for path in disk.run.iterdir()) == ["tls.pem"], "no copy of a key is left behind"


def test_a_reload_is_over_when_the_new_worker_answers(programs: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["Name: HAProxy\nPid: 7\n", "Pid: 7\n", "Pid: 8\n"]

    def ask(_: str) -> str:
        return answers.pop(0)

    monkeypatch.setattr(haproxy, "query", ask)
    monkeypatch.setattr(configuration.time, "sleep", returning(None))
    configuration.reload()
    assert answers == []
    assert ["systemctl", "reload", "haproxy.service"] in programs.calls


def test_a_reload_that_no_new_worker_follows_is_an_error_and_a_stopped_haproxy_needs_none(
    programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(haproxy, "query", returning("Pid: 7\n"))
    monkeypatch.setattr(configuration, "RELOAD_TIMEOUT", 0)
    with pytest.raises(PermanentError, match="did not take over"):
        configuration.reload()
    programs.answers["systemctl is-active"] = (3, "")
    programs.calls.clear()
    configuration.reload()
    assert ["systemctl", "reload", "haproxy.service"] not in programs.calls


def test_what_a_new_worker_must_know_of_the_servers_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[Path, str] = {}
    monkeypatch.setattr(files, "write", written.__setitem__)
    known = [
        "1",
        "# be_id be_name srv_id srv_name srv_addr srv_op_state",
        "4 web 1 web1 10.20.64.5 2 0",
        "4 web 2 web2 - 0 32",
        "4 web 3 web3 0.0.0.0 0 32",
    ]
    monkeypatch.setattr(haproxy, "query", {"show servers state": "\n".join([*known, "", ""])}.__getitem__)
    haproxy.save_server_state()
    assert written[haproxy.STATE_FILE].split("\n") == [*known[:3], "", ""]
    monkeypatch.setattr(haproxy, "SOCKET", tmp_path / "none")
    monkeypatch.undo()
    monkeypatch.setattr(files, "write", written.__setitem__)
    haproxy.save_server_state()  # HAProxy does not answer here: nothing to keep, and the reload goes on
    assert len(written) == 1


@pytest.fixture
def pems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[Path, str]:
    """What is written, by path, and nothing on a disk."""
    written: dict[Path, str] = {}

    def write(path: Path, content: str | bytes, *, mode: int) -> bool:
        assert mode == 0o600, "a key is for root alone"
        text = content if isinstance(content, str) else content.decode()
        written[path] = text
        path.write_text(text)
        return True

    monkeypatch.setattr(files, "write", write)
    monkeypatch.setattr(tls, "SELF_SIGNED_FILE", tmp_path / "kept.pem")
    return written


def test_a_self_signed_certificate_is_made_once_and_kept(
    pems: dict[Path, str], monkeypatch: pytest.MonkeyPatch, programs: FakePrograms
) -> None:
    made: list[str] = []

    def self_signed(domain: str) -> str:
        made.append(domain)
        return PEM

    monkeypatch.setattr(tls, "self_signed", self_signed)
    assert tls.pem(CONFIG) == PEM
    programs.answers["openssl x509 -in"] = (0, "IP 198.51.100.7 does match certificate")
    assert tls.pem(CONFIG) == PEM
    assert made == ["198.51.100.7"]
    assert pems == {tls.SELF_SIGNED_FILE: PEM}
    programs.answers["openssl x509 -in"] = (0, "IP 198.51.100.7 does NOT match certificate")
    tls.pem(CONFIG)
    assert len(made) == 2, "a certificate for another name is made anew"


@pytest.mark.programs
@pytest.mark.parametrize(
    ("days", "name", "good"), [(31, "198.51.100.7", True), (29, "198.51.100.7", False), (31, "198.51.100.8", False), (0, "", False)]
)
def test_a_certificate_that_ends_soon_or_names_another_is_made_anew(tmp_path: Path, days: int, name: str, good: bool) -> None:
    pem = tmp_path / "tls.pem"
    if name:
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", "/dev/null"]
        told = ["-days", str(days), "-subj", "/CN=x", "-addext", f"subjectAltName=IP:{name}", "-out", str(pem)]
        subprocess.run([*made, *told], check=True, capture_output=True)
    assert tls.usable(pem, "198.51.100.7") is good


def test_the_users_pem_never_touches_the_disk_and_is_refused_without_its_key(
    pems: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = replace(CONFIG, tls_mode="secret", tls_secret="my/tls")
    values = {"my/tls": PEM}
    monkeypatch.setattr(aws, "named_secret", values.__getitem__)
    assert tls.pem(secret) == PEM + "\n"
    assert pems == {}
    values["my/tls"] = PEM.split("-----BEGIN PRIVATE")[0]
    with pytest.raises(PermanentError, match=r"the secret my/tls has no private key .*: it must hold") as refused:
        tls.pem(secret)
    assert "x\n" not in str(refused.value)
