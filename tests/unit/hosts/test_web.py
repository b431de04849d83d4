"""A web host's programs: the release, the app's environment, the certificates of the databases, when the host calls itself ready."""

import os
import pwd
import runpy
import shlex
import socket
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import pytest
from annotated_types import Le
from web_role import await_primary, checks, configuration, database_ca, environment, release, secret_sync
from web_role.app_bundle import INSTALLED_MARKER, BundleError
from webstack_host import config, files, internal_tls, services
from webstack_host.errors import PermanentError
from webstack_host.http_check import CheckResponse
from webstack_host.variables import Bundle

from stack.sections import WebSettings
from stack.settings import reference_rows

from ..userdata.test_host_files import WEB
from .conftest import ROOT, FakePrograms, returning

CONFIG = replace(WEB, app_bundle=Bundle(key="app/1.tar.gz", sha256="1" * 64))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for `app_bundle.install`: a release of one file that holds the bundle's bytes; notes the hashes asked for."""
    hashes: list[str] = []

    def install(tarball: Path, sha256: str, target: Path) -> None:
        hashes.append(sha256)
        if tarball.read_bytes() == b"bad":
            raise BundleError("not what its name says")
        release = target / "releases" / sha256
        (release / "app" / "static").mkdir(parents=True)
        (release / "app" / "static" / "site.css").write_bytes(tarball.read_bytes())
        (release / INSTALLED_MARKER).touch()
        (target / "current").unlink(missing_ok=True)
        (target / "current").symlink_to(release)

    monkeypatch.setattr(release.app_bundle, "install", install)
    return hashes


def giving(content: bytes) -> release.Fetch:
    def fetch(key: str, file: IO[bytes]) -> None:
        del key
        file.write(content)

    return fetch


def css(home: Path) -> Path:
    return home / "current" / "app" / "static" / "site.css"


def test_a_release_is_fetched_once_and_the_next_takes_its_place(installed: list[str], tmp_path: Path) -> None:
    fetched: list[str] = []

    def fetch(key: str, file: IO[bytes]) -> None:
        fetched.append(key)
        file.write(key.encode())

    assert release.install("app/1", "1" * 64, home=tmp_path, fetch=fetch)
    assert not release.install("app/1", "1" * 64, home=tmp_path, fetch=fetch)
    assert release.install("app/2", "2" * 64, home=tmp_path, fetch=fetch)
    assert css(tmp_path).read_text() == "app/2"
    assert fetched == ["app/1", "app/2"]
    assert installed == ["1" * 64, "2" * 64]
    assert css(tmp_path).stat().st_mtime < 1_600_000_000, "its time comes from its content"
    assert not list(tmp_path.glob(".bundle-*"))


def test_a_release_that_is_refused_leaves_the_old_one_current(installed: list[str], tmp_path: Path) -> None:
    release.install("app/1", "1" * 64, home=tmp_path, fetch=giving(b"one"))
    with pytest.raises(PermanentError, match="not what its name says"):
        release.install("app/2", "2" * 64, home=tmp_path, fetch=giving(b"bad"))
    assert css(tmp_path).read_text() == "one"
    release.install("app/2", "2" * 64, home=tmp_path, fetch=giving(b"two"))
    assert css(tmp_path).read_text() == "two"


def test_the_time_of_a_static_file_comes_from_its_content_so_that_all_hosts_give_one_etag(tmp_path: Path) -> None:
    times: list[float] = []
    for host, content in (("web-1", b"same"), ("web-2", b"same"), ("web-3", b"diff")):
        path = tmp_path / host / "css" / "site.css"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        release.set_mtime_from_content(tmp_path / host)
        times.append(path.stat().st_mtime)
    assert times[0] == times[1] != times[2]


def test_the_app_gets_its_own_accounts_and_not_the_migrators() -> None:
    values = environment.build_app_variables(CONFIG, writer="w/@ 1", reader="r", session_key="k" * 40)
    assert values["DATABASE_WRITE_URL"] == "mysql+pymysql://app_writer:w%2F%40%201@127.0.0.1:3306/app"
    assert values["DATABASE_READ_URL"] == "mysql+pymysql://app_reader:r@127.0.0.1:3307/app"
    assert (values["WEB_HOST"], values["SITE_HOST"]) == ("web-1", "shop.example")
    assert (values["APP_MODULE"], values["SESSION_KEY"]) == ("wsgi:app", "k" * 40)
    assert "MIGRATE_DATABASE_URL" not in values
    assert list(environment.migration_variables(CONFIG, "m")) == ["MIGRATE_DATABASE_URL", "MIGRATE_TIMEOUT", "DATABASE_CA"]


@pytest.mark.parametrize(("chosen", "processors", "workers"), [(7, 2, 7), (0, 1, 2), (0, 2, 2), (0, 8, 8), (1, 8, 1)])
def test_the_number_of_workers_is_the_users_or_the_processors(
    monkeypatch: pytest.MonkeyPatch, chosen: int, processors: int, workers: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", returning(processors))
    config = replace(CONFIG, workers=chosen)
    assert environment.build_app_variables(config, writer="w", reader="r", session_key="k")["WEB_CONCURRENCY"] == str(workers)
    [described] = [meaning for key, _, meaning in reference_rows() if key == "webstack:web.workers"]
    assert described.endswith("0 is one for each processor, two at least")


def test_an_environment_file_reads_back_as_it_was() -> None:
    values = {"A": 'with "quotes", $dollar, back\\slash', "B": "plain"}
    # Within double quotes the shell's rules are systemd's, but for the dollar, which Python's shlex leaves alone too.
    assert dict(word.split("=", 1) for word in shlex.split(environment.env_file(values))) == values


def test_a_secret_of_two_lines_is_refused_without_being_shown() -> None:
    with pytest.raises(PermanentError, match="SESSION_KEY holds a line end") as refused:
        environment.env_file({"SESSION_KEY": "hush\nhush"})
    assert "hush" not in str(refused.value)


def test_the_environment_is_for_root_alone_and_lies_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, int] = {}

    def write(path: str, content: str, *, mode: int) -> bool:
        assert "hush" in content
        written[path] = mode
        return True

    monkeypatch.setattr(files, "write", write)
    found = environment.AppSecrets(migrator="hush", writer="hush", reader="hush", session_key="hush", versions={})
    assert environment.write(CONFIG, found)
    assert written == {"/run/webstack/app.env": 0o600, "/run/webstack/migrate.env": 0o600}


def test_the_first_unit_that_does_not_run_is_the_reason(monkeypatch: pytest.MonkeyPatch, programs: FakePrograms) -> None:
    monkeypatch.setattr(checks, "get_page", returning(CheckResponse(status=200)))
    programs.answers["systemctl is-active --quiet webstack-migrate.service"] = (3, "")
    found = checks.check(CONFIG)
    assert (found.ok, found.reason) == (False, "webstack-migrate.service does not run yet")
    assert found.units == ("webstack-migrate.service",)
    asked = "systemctl show --property=Id,ConditionResult,ConditionTimestampMonotonic webstack-migrate.service"
    never = "Id=webstack-migrate.service\nConditionResult=no\nConditionTimestampMonotonic=0\n"
    programs.answers[asked] = (0, never)
    assert not checks.check(CONFIG).ok, "systemd has not looked yet"
    programs.answers[asked] = (0, never.replace("=0", "=22846693401"))
    assert checks.check(CONFIG).ok, "an app without migrations has none to run"


@pytest.mark.parametrize(
    ("awaits", "migrates", "reason"),
    [
        ("activating", "dead", "waits for the primary database"),
        ("inactive", "start", "migrate.py runs (at most 10min: web.migrateTimeout)"),
        ("inactive", "auto-restart", "webstack-migrate.service does not run yet"),
    ],
)
def test_a_migration_that_waits_or_runs_is_told_from_one_that_does_neither(
    monkeypatch: pytest.MonkeyPatch, programs: FakePrograms, awaits: str, migrates: str, reason: str
) -> None:
    programs.answers["systemctl is-active --quiet webstack-migrate.service"] = (3, "")
    programs.answers["systemctl show --property=Id,ActiveState,SubState,TimeoutStartUSec"] = (
        0,
        f"Id=webstack-await-primary.service\nActiveState={awaits}\nSubState=start\nTimeoutStartUSec=infinity\n\n"
        f"Id=webstack-migrate.service\nActiveState=activating\nSubState={migrates}\nTimeoutStartUSec=10min\n",
    )
    assert checks.check(CONFIG).reason == reason


def test_the_migration_is_held_back_until_the_primary_greets_and_its_certificate_is_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is not there yet, an API that does not answer included, is waited for and is no failure."""
    found: list[object] = [*[False] * 3, True, True, True]
    certificates: list[object] = [OSError("no route"), 0, 2]

    def refresh() -> object:
        number = certificates.pop(0)
        if isinstance(number, Exception):
            raise number
        return number

    monkeypatch.setattr(await_primary, "is_primary_reachable", lambda: found.pop(0))
    monkeypatch.setattr(database_ca, "refresh", refresh)
    monkeypatch.setattr("time.sleep", returning(None))
    assert await_primary.main() == 0
    assert (found, certificates) == ([], [])
    assert capsys.readouterr().out.splitlines() == [
        "the primary database is not reachable yet",
        "the certificates of the database hosts cannot be fetched: no route",
        "no database host has published its certificate yet",
    ]


@pytest.mark.parametrize(("word", "there"), [(b"J\x00\x00\x00", True), (b"", False)])
def test_only_a_server_that_greets_is_a_primary(monkeypatch: pytest.MonkeyPatch, word: bytes, there: bool) -> None:
    """The proxy takes every connection, and closes it where it knows no primary."""
    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(environment, "WRITE_PORT", server.getsockname()[1])

    def greet() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(word)

    thread = threading.Thread(target=greet)
    thread.start()
    assert await_primary.is_primary_reachable() == there
    thread.join()
    server.close()
    assert not await_primary.is_primary_reachable(), "nobody listens"


def test_only_what_changed_is_restarted(monkeypatch: pytest.MonkeyPatch, programs: FakePrograms, tmp_path: Path) -> None:
    monkeypatch.setattr(services, "UNITS", tmp_path)
    monkeypatch.setattr(files, "directory", returning(None))
    monkeypatch.setattr(database_ca, "refresh", returning(2))
    monkeypatch.setattr(environment, "write", returning(False))
    found = environment.AppSecrets(migrator="m", writer="w", reader="r", session_key="k", versions={"app-writer": ["v1"]})
    monkeypatch.setattr(environment, "fetch", returning(found))
    monkeypatch.setattr(secret_sync, "VERSIONS_FILE", tmp_path / "secrets.json")
    monkeypatch.setattr(internal_tls, "key_and_certificate", returning(("key", "certificate")))
    key, certificate = tmp_path / "web.key", tmp_path / "web.pem"
    monkeypatch.setattr(configuration, "TLS_KEY", key)
    monkeypatch.setattr(configuration, "TLS_CERTIFICATE", certificate)
    log = tmp_path / "access.log"
    log.touch(0o644)
    monkeypatch.setattr(configuration, "NGINX_LOGS", tmp_path)
    write, me = files.write, pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr(files, "write", partial(write, owner=me, group=me))
    for changed in (False, True):
        monkeypatch.setattr(release, "install", returning(changed))
        programs.calls.clear()
        configuration.configure(CONFIG)
        lines = [" ".join(call) for call in programs.calls]
        assert "nginx -t -q" in lines
        assert "haproxy -c -f /etc/webstack/database-proxy.cfg" in lines
        assert ("systemctl restart webstack-migrate.service webstack-app.service" in lines) == changed
        assert secret_sync.load_versions() == found.versions
    assert (key.read_text(), key.stat().st_mode & 0o777, certificate.read_text()) == ("key", 0o600, "certificate")
    assert log.stat().st_mode & 0o777 == 0o640, "what visitors ask is not everybody's to read"


def test_a_host_that_drains_says_so_first_and_then_waits_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[object] = []
    monkeypatch.setattr(Path, "touch", lambda path: did.append(str(path)))  # pyright: ignore[reportUnknownLambdaType,reportUnknownArgumentType]
    monkeypatch.setattr("time.sleep", did.append)
    monkeypatch.setattr(config, "load", returning(CONFIG))
    runpy.run_path(str(ROOT / "userdata/web/usr/local/sbin/webstack-drain"))
    assert did == ["/run/webstack/draining", CONFIG.drain_seconds]


def test_the_drain_has_its_time_and_everything_that_serves_ends_after_it() -> None:
    """Units stop in the opposite order of their `After=`: https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html."""
    unit = (ROOT / "userdata/web/etc/systemd/system/webstack-drain.service").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in unit if "=" in line and not line.startswith("#"))
    assert settings["ExecStop"] == "/usr/local/sbin/webstack-drain"
    assert settings["ExecStart"] == "/usr/bin/rm -f /run/webstack/draining", "a host that starts again is not draining"
    assert set(settings["After"].split()) == {
        *("network-online.target", "nginx.service", "webstack-app.service", "webstack-database-proxy.service")
    }
    [longest] = [item.le for item in WebSettings.model_fields["drain_seconds"].metadata if isinstance(item, Le)]
    assert int(settings["TimeoutStopSec"]) > longest  # pyright: ignore[reportOperatorIssue] - a whole number
