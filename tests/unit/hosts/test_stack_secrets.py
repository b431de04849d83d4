"""Secrets that change while a web host serves: what it looks at and when, what the app is told, and what the host's record says."""

import json
import os
import pwd
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from web_role import environment, secret_sync
from webstack_host import aws, config, files, stack_secrets

from ..userdata.test_host_files import WEB
from .conftest import FakePrograms, returning

LOADED = replace(WEB, workers=2, secret_prefix="webstack/dev-1234abcd", check_path="/healthz", ready_path="/readyz")
PURPOSES = ("app-migrator", "app-writer", "app-reader", "app-session-key")


class Manager:
    """Secrets Manager and the bucket, as this host's role sees them. A value is its version's name and `-value`."""

    def __init__(self) -> None:
        self.stages = {purpose: {f"{purpose}-1": ["AWSCURRENT"]} for purpose in PURPOSES}
        self.notice: bytes | None = None
        self.asked: list[str] = []
        self.down = False

    def describe_secret(self, SecretId: str) -> dict[str, object]:  # noqa: N803 - boto3's names
        self._call(f"labels of {SecretId.rpartition('/')[2]}")
        return {"VersionIdsToStages": self.stages[SecretId.rpartition("/")[2]]}

    def get_secret_value(self, SecretId: str, VersionId: str) -> dict[str, str]:  # noqa: N803
        self._call(VersionId)
        return {"SecretString": f"{VersionId}-value"}

    def fetch_object(self, key: str) -> bytes:
        if self.notice is None:
            raise ConnectionError(f"{key}: AccessDenied")
        return self.notice

    def _call(self, what: str) -> None:
        if self.down:
            raise ConnectionError("no route")
        self.asked.append(what)


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Manager:
    made = Manager()
    monkeypatch.setattr(config, "load_common", returning(LOADED))
    monkeypatch.setattr(aws, "secrets", returning(made))
    monkeypatch.setattr(aws, "fetch_object", made.fetch_object)
    me = pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr(files, "write", partial(files.write, owner=me, group=me))
    for module, name, path in (
        (environment, "APP_FILE", "app.env"),
        (environment, "MIGRATE_FILE", "migrate.env"),
        (secret_sync, "VERSIONS_FILE", "secrets.json"),
        (secret_sync, "RUNTIME", "webstack-app"),
    ):
        monkeypatch.setattr(module, name, tmp_path / path)
    (tmp_path / "webstack-app").mkdir()
    return made


@pytest.fixture
def app(programs: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A Gunicorn of two workers, whose reload makes two others."""
    made = SimpleNamespace(main="100", workers={101, 102}, reloads=0, calls=programs.calls)
    programs.answers["systemctl show --property=MainPID"] = (0, "100\n")

    def children(parent: int) -> set[int]:
        assert parent == 100
        reloads = sum(call[:2] == ["systemctl", "reload"] for call in programs.calls)
        return {worker + 100 * reloads for worker in made.workers}

    monkeypatch.setattr(secret_sync, "children", children)
    return made


def variables(folder: Path) -> dict[str, str]:
    """What the reload was told."""
    return json.loads((folder / "webstack-app" / "environment.json").read_text())


def booted(manager: Manager) -> secret_sync.SecretSync:
    """A host that has configured itself and looked once since."""
    secret_sync.save_versions(environment.fetch(stack_secrets.SecretCache()))
    made = secret_sync.SecretSync(LOADED)
    assert not made.step(0.0)
    manager.asked.clear()
    return made


def test_the_app_accepts_the_session_key_that_comes_and_the_one_that_goes_and_signs_by_the_current_one(manager: Manager) -> None:
    manager.stages["app-session-key"] = {"old": ["AWSPREVIOUS", "webstack-state"], "now": ["AWSCURRENT"], "next": ["AWSPENDING"]}
    found = environment.fetch(stack_secrets.SecretCache())
    told = environment.app_variables(LOADED, found)
    assert (told["SESSION_KEY"], told["SESSION_KEY_FALLBACKS"]) == ("now-value", "next-value,old-value")
    assert found.versions["app-session-key"] == ["now", "next", "old"]


def test_a_pending_label_on_the_current_version_is_what_a_finished_rotation_may_leave(manager: Manager) -> None:
    manager.stages["app-session-key"] = {"now": ["AWSCURRENT", "AWSPENDING"]}
    assert environment.fetch(stack_secrets.SecretCache()).versions["app-session-key"] == ["now"]


def test_no_password_that_is_not_proven_is_used(manager: Manager) -> None:
    manager.stages["app-writer"] = {"now": ["AWSCURRENT"], "next": ["AWSPENDING"]}
    assert environment.fetch(stack_secrets.SecretCache()).writer == "now-value"


def test_what_was_rung_for_is_used_at_once_by_a_reload(manager: Manager, app: SimpleNamespace, tmp_path: Path) -> None:
    host = booted(manager)
    manager.stages["app-writer"] = {"app-writer-1": ["AWSPREVIOUS"], "app-writer-2": ["AWSCURRENT"]}
    assert not host.step(5.0), "nobody has rung"
    assert manager.asked == [], "a look for a notice asks Secrets Manager nothing"
    manager.notice = b"now"
    assert host.step(10.0)
    assert "app_writer:app-writer-2-value@" in variables(tmp_path)["DATABASE_WRITE_URL"]
    assert (tmp_path / "webstack-app" / "environment.json").stat().st_mode & 0o777 == 0o400
    assert "app-writer-2-value" in (tmp_path / "app.env").read_text(), "for the next start"
    assert app.calls.count(["systemctl", "reload", "webstack-app.service"]) == 1
    assert secret_sync.load_versions()["app-writer"] == ["app-writer-2"]
    assert "app-writer-2" in manager.asked
    assert "app-writer-1" not in manager.asked, "each value is asked for once"
    assert not host.step(15.0), "one ring is one look"


def test_what_nobody_announced_is_used_at_the_second_sight(manager: Manager, app: SimpleNamespace) -> None:
    host = booted(manager)
    manager.stages["app-writer"] = {"app-writer-2": ["AWSCURRENT"]}
    assert not host.step(stack_secrets.RECHECK_INTERVAL)
    assert secret_sync.load_versions()["app-writer"] == ["app-writer-1"], "the primary may not know it yet"
    assert not host.step(stack_secrets.RECHECK_INTERVAL + stack_secrets.NOTICE_INTERVAL)
    assert host.step(2 * stack_secrets.RECHECK_INTERVAL)
    assert secret_sync.load_versions()["app-writer"] == ["app-writer-2"]


def test_a_migration_that_runs_is_not_touched_and_its_next_try_has_the_new_password(
    manager: Manager, programs: FakePrograms, tmp_path: Path
) -> None:
    host = booted(manager)
    programs.answers["systemctl show --property=MainPID"] = (0, "0\n")
    manager.stages["app-migrator"], manager.notice = {"app-migrator-2": ["AWSCURRENT"]}, b"now"
    assert host.step(5.0)
    assert "app-migrator-2-value" in (tmp_path / "migrate.env").read_text()
    assert not [call for call in programs.calls if call[:2] in (["systemctl", "reload"], ["systemctl", "restart"])]


def test_an_app_that_is_just_starting_is_reloaded_once_it_runs(manager: Manager, app: SimpleNamespace, programs: FakePrograms) -> None:
    host = booted(manager)
    manager.stages["app-writer"], manager.notice = {"app-writer-2": ["AWSCURRENT"]}, b"now"
    programs.answers["systemctl is-active"] = (3, "")
    with pytest.raises(RuntimeError, match="just starting"):
        host.step(5.0)
    assert secret_sync.load_versions()["app-writer"] == ["app-writer-1"]
    del programs.answers["systemctl is-active"]
    assert host.step(10.0)


def test_a_host_does_not_say_that_it_uses_a_secret_while_old_workers_run(
    manager: Manager, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = booted(manager)
    manager.stages["app-writer"], manager.notice = {"app-writer-2": ["AWSCURRENT"]}, b"now"
    monkeypatch.setattr(secret_sync, "children", returning({101}))
    monkeypatch.setattr(secret_sync, "RELOAD_TIMEOUT", 0.0)
    with pytest.raises(RuntimeError, match="workers from before the reload still run"):
        host.step(5.0)
    assert secret_sync.load_versions()["app-writer"] == ["app-writer-1"]


def test_an_api_that_is_away_changes_nothing_and_the_look_is_made_up_for(manager: Manager, app: SimpleNamespace) -> None:
    host = booted(manager)
    manager.stages["app-writer"], manager.notice, manager.down = {"app-writer-2": ["AWSCURRENT"]}, b"now", True
    with pytest.raises(ConnectionError):
        host.step(5.0)
    manager.down = False
    assert host.step(10.0)


def test_the_record_tells_versions_and_no_values(manager: Manager) -> None:
    booted(manager)
    assert stack_secrets.record_fact(secret_sync.load_versions()) == {
        "secrets": " ".join(f"{purpose}={purpose}-1" for purpose in sorted(PURPOSES))
    }
    assert stack_secrets.record_fact({}) == {}


def test_the_children_of_a_process_are_found() -> None:
    assert os.getpid() in secret_sync.children(os.getppid())
