"""What all hosts share: parameters, files, programs, the readiness record, one run of the configuration."""

import hashlib
import json
import os
import pwd
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from webstack_host import aws, config, configure, files, imds, readiness, run, services
from webstack_host.config import HostConfig
from webstack_host.readiness import Check

from .conftest import HOST, Programs, returns

ME = pwd.getpwuid(os.getuid()).pw_name
OURS: dict[str, Any] = {"owner": ME, "group": ME}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_host(tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "host.json"
    path.write_text(json.dumps({**HOST, **changes}))
    return str(path)


def test_every_variable_is_an_attribute_and_what_is_inside_too(tmp_path: Path) -> None:
    loaded = config.load(write_host(tmp_path, databases=[{"host": "db-1"}, {"host": "db-2"}]))
    assert (loaded.host, loaded.zone, loaded.role_bundle.key) == ("web-1", "dev.webstack.internal", "roles/web/x.tar.gz")
    assert [database.host for database in loaded.databases] == ["db-1", "db-2"]
    assert loaded.variables["bucket"] == "artifacts-1234567"


def test_an_unknown_variable_names_the_file_and_what_there_is(tmp_path: Path) -> None:
    path = write_host(tmp_path)
    with pytest.raises(AttributeError, match=r"host\.json has no 'drain_seconds'; it has bucket,"):
        _ = config.load(path).drain_seconds
    Path(path).write_text("[]")
    with pytest.raises(TypeError, match=r"host\.json holds no JSON object"):
        config.load(path)


def test_a_file_is_written_once_and_again_only_when_something_differs(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert files.write(path, "one\n", mode=0o600, **OURS)
    assert not files.write(path, "one\n", mode=0o600, **OURS)
    assert files.write(path, "one\n", mode=0o640, **OURS), "a changed mode is a change"
    assert files.write(path, b"two\n", mode=0o640, **OURS)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\n", 0o640)
    assert names(path.parent) == ["file"], "no draft is left behind"


def test_a_link_at_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / "file").symlink_to(other)
    assert files.write(tmp_path / "file", "new", **OURS)
    assert (other.read_text(), (tmp_path / "file").read_text()) == ("kept", "new")


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(tmp_path / "file", "old", **OURS)

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path / "file", "new", **OURS)
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.programs
def test_a_failed_program_is_named_with_its_last_lines() -> None:
    with pytest.raises(run.CommandError, match=r"(?s)^sh -c .*: exit code 3\nline 6\n.*line 20$"):
        run.run(["sh", "-c", "seq -f 'line %g' 20; exit 3"])
    with pytest.raises(run.CommandError, match="no-such-program is not there"):
        run.run(["no-such-program"])
    with pytest.raises(run.CommandError, match=r"still running after 0\.05 s"):
        run.run(["sleep", "5"], timeout=0.05)
    assert run.run(["false"], check=False).returncode == 1
    assert run.run(["cat"], input="in").stdout == "in"


def test_a_record_counts_by_the_hash_of_this_boots_user_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put: dict[str, bytes] = {}
    loaded = config.load(write_host(tmp_path))
    monkeypatch.setattr(config, "load", returns(loaded))
    monkeypatch.setattr(imds, "instance_id", returns("i-0123456789abcdef0"))
    monkeypatch.setattr(imds, "user_data", returns(b"#cloud-config\n"))
    monkeypatch.setattr(aws, "identity", returns("AROAEXAMPLE:i-0123456789abcdef0"))
    monkeypatch.setattr(aws, "put_object", put.__setitem__)
    readiness.publish("failed", "first\nsecond", [f"line {n}" for n in range(40)], {"a": "b"})
    record = json.loads(put["hosts/AROAEXAMPLE:i-0123456789abcdef0.json"])
    assert record["user_data_sha256"] == hashlib.sha256(b"#cloud-config\n").hexdigest()
    assert (record["version"], record["host"], record["state"], record["reason"]) == (1, "web-1", "failed", "first")
    assert record["detail"] == [f"line {n}" for n in range(15, 40)]
    assert record["facts"] == {"a": "b"}
    assert datetime.strptime(record["time"], "%Y-%m-%dT%H:%M:%S.%f%z").utcoffset() is not None


class FakeRole:
    """A role whose checks come out as told."""

    def __init__(self, *checks: Check) -> None:
        self.checks = list(checks)
        self.configured = 0

    def configure(self, config: HostConfig) -> None:
        self.configured += 1

    def check(self, config: HostConfig) -> Check:
        return self.checks.pop(0) if len(self.checks) > 1 else self.checks[0]


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: Programs) -> list[tuple[str, str]]:
    clock = Clock()
    monkeypatch.setattr(configure, "time", clock)
    monkeypatch.setattr(configure, "PACKAGE_POLICY", tmp_path / "policy-rc.d")
    return []


def serve(told: list[tuple[str, str]], role: FakeRole, **changes: Any) -> int:
    return configure.serve(HostConfig({**HOST, **changes}, "host.json"), role, say=lambda state, found: told.append((state, found.reason)))


def test_a_host_tells_each_new_reason_once_and_then_that_it_is_ready(told: list[tuple[str, str]], programs: Programs) -> None:
    role = FakeRole(
        Check(ok=False, reason="no"), Check(ok=False, reason="no"), Check(ok=False, reason="almost"), Check(ok=True, reason="serves")
    )
    assert serve(told, role) == 0
    assert told == [("starting", "being configured"), ("starting", "no"), ("starting", "almost"), ("ready", "serves")]
    assert role.configured == 1
    assert ["systemctl", "start", "--no-block", "webstack.target"] in programs.calls


def test_a_host_that_does_not_serve_in_time_fails_with_the_reason_of_its_last_check(
    told: list[tuple[str, str]], programs: Programs
) -> None:
    assert serve(told, FakeRole(Check(ok=False, reason="no database")), readiness_timeout=3) == 1
    assert told[-1] == ("failed", "no database")


def test_the_logs_that_explain_a_reason_are_read_when_it_is_told_and_not_at_every_look(
    told: list[tuple[str, str]], programs: Programs
) -> None:
    programs.answers["journalctl"] = (0, "last words\n")
    waiting = Check(ok=False, reason="no", detail=["own line"], units=("nginx.service",))
    details: list[list[str]] = []
    role = FakeRole(waiting, waiting, waiting, Check(ok=True, reason="serves"))
    configure.serve(HostConfig(HOST, "host.json"), role, say=lambda _, found: details.append(found.detail))
    assert details == [[], ["own line", "last words"], []]
    assert [call[0] for call in programs.calls].count("journalctl") == 1


def test_a_configuration_that_raises_is_a_failure_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, Check]] = []
    monkeypatch.setattr(config, "load", returns(HostConfig({**HOST, "role": "no_such"}, "host.json")))

    def announce(state: str, found: Check) -> None:
        said.append((state, found))

    monkeypatch.setattr(configure, "announce", announce)
    assert configure.main() == 1
    [(state, found)] = said
    assert (state, found.reason) == ("failed", "not configured: No module named 'no_such_role'")


def test_units_of_packages_are_taken_out_of_the_boot_only_where_they_are_enabled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: Programs
) -> None:
    monkeypatch.setattr(services, "UNITS", tmp_path)
    services.take_over("haproxy.service", "keepalived.service")
    assert programs.calls == []
    (tmp_path / "multi-user.target.wants").mkdir()
    (tmp_path / "multi-user.target.wants" / "haproxy.service").symlink_to("/usr/lib/systemd/system/haproxy.service")
    services.take_over("haproxy.service", "keepalived.service")
    assert programs.calls == [["systemctl", "disable", "--now", "haproxy.service"]]
