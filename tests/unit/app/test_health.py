"""Alive, ready, migrated, configured."""

import sqlite3
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from flask import Flask
from shop import create_app
from shop.migrator import MigrationError, head_revision, migrate
from shop.settings import Settings, SettingsError

from .conftest import KEY, settings


def at_revision(folder: Path, revision: str) -> None:
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def test_a_working_shop_is_ready(app: Flask) -> None:
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {
        "ready": True,
        "web_host": "web-1",
        "checks": {
            "writer": {"ok": True, "host": "sqlite", "reason": ""},
            "reader": {"ok": True, "host": "sqlite", "reason": ""},
        },
    }


def test_without_a_schema_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    client = create_app(settings(tmp_path)).test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["checks"]["writer"]["reason"] == "the database has no schema yet"


def test_without_a_database_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    client = create_app(settings(tmp_path / "nowhere")).test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["checks"]["reader"]["reason"].startswith("cannot be reached: ")
    assert client.get("/").status_code == 500, "SQLite's words for a file that cannot be opened are no lost connection"


def test_an_older_schema_is_not_ready_and_a_newer_one_is(app: Flask, folder: Path) -> None:
    at_revision(folder, "0001")
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["checks"]["writer"]["reason"] == f"the schema is at 0001, this release needs {head_revision()}"
    at_revision(folder, "9999")
    assert app.test_client().get("/readyz").status_code == 200


def test_migrating_again_does_nothing(folder: Path) -> None:
    assert migrate(f"sqlite:///{folder}/shop.db", None, timeout=1) == "the schema is up to date"
    at_revision(folder, "9999")
    assert migrate(f"sqlite:///{folder}/shop.db", None, timeout=1) == "the schema is up to date"


def test_a_migration_that_was_cut_off_is_done_to_its_end(folder: Path) -> None:
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.executescript("DROP TABLE orders; DELETE FROM products WHERE id > 3; DELETE FROM alembic_version")
    connection.close()
    assert migrate(f"sqlite:///{folder}/shop.db", None, timeout=1) == f"migrated the schema from nothing to {head_revision()}"
    with sqlite3.connect(folder / "shop.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM products").fetchone() == (8,)
        assert connection.execute("SELECT COUNT(*) FROM orders").fetchone() == (0,)
    connection.close()


def test_a_database_that_cannot_be_had_is_told_by_place_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="said: "):
        migrate(f"sqlite:///{tmp_path}/nowhere/shop.db", None, timeout=1)
    with pytest.raises(MigrationError) as caught:
        migrate("mysql+pymysql://app_migrator:hunter2@127.0.0.1:1/app", None, timeout=0)
    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.programs
def test_the_migration_s_command_ends_with_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).parents[3] / "app" / "migrate.py")]
    done = subprocess.run(
        command, env={"MIGRATE_DATABASE_URL": f"sqlite:///{tmp_path}/shop.db"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"migrated the schema from nothing to {head_revision()}\n")


def test_the_migration_s_command_tells_what_it_lacks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MIGRATE_DATABASE_URL", raising=False)
    assert import_module("migrate").main() == 1
    assert capsys.readouterr().err == "migrate: MIGRATE_DATABASE_URL is not set: the shop cannot do without\n"


GOOD = {
    "DATABASE_WRITE_URL": "mysql+pymysql://app_writer:hunter2@127.0.0.1:3306/app",
    "DATABASE_READ_URL": "mysql+pymysql://app_reader:hunter2@127.0.0.1:3307/app",
    "DATABASE_CA": "/run/webstack/databases.pem",
    "SESSION_KEY": KEY,
    "WEB_HOST": "web-2",
}


def test_settings_come_from_the_environment() -> None:
    assert Settings.from_environment(GOOD) == Settings(
        write_url=GOOD["DATABASE_WRITE_URL"],
        read_url=GOOD["DATABASE_READ_URL"],
        session_key=KEY,
        database_ca="/run/webstack/databases.pem",
        web_host="web-2",
        pool_size=8,
    )


@pytest.mark.parametrize(("told", "keys"), [("", ()), ("next", ("next",)), ("next,old", ("next", "old"))])
def test_fallbacks_of_the_session_key_are_a_list_and_the_key_that_signs_is_last_for_itsdangerous(told: str, keys: tuple[str, ...]) -> None:
    found = Settings.from_environment(GOOD | {"SESSION_KEY_FALLBACKS": told})
    assert found.session_key_fallbacks == keys
    assert found.session_keys == [*reversed(keys), KEY]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_WRITE_URL", ""),
        ("DATABASE_READ_URL", "hunter2"),
        ("SESSION_KEY", "short"),
        ("DATABASE_POOL_SIZE", "0"),
        ("DATABASE_POOL_SIZE", "many"),
    ],
)
def test_a_bad_setting_is_named_and_no_secret_told(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_environment(GOOD | {name: value})
    assert "hunter2" not in str(caught.value)
