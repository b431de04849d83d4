"""A load balancer's configuration: tried before it is put in place, and in force when the reload is over."""

import os
import pwd
from pathlib import Path

import pytest
from load_balancer_role import configuration, haproxy, tls
from webstack_host import files, internal_tls, services
from webstack_host.errors import PermanentError

from tests.unit.hosts.conftest import FakePrograms, returning
from tests.unit.hosts.load_balancer.conftest import CONFIG, PEM


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
