"""The shop on SQLite: pages, API, forms and idempotency are the same there; what only MySQL does is tried on booted hosts."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "app"))

from flask import Flask
from flask.testing import FlaskClient
from shop import accounts, create_app
from shop.migrator import migrate
from shop.settings import Settings
from werkzeug.test import TestResponse

KEY = "a key of the tests, long enough for signing"
ORIGIN = "https://shop.test"


def settings(folder: Path, *, reader: str = "shop.db") -> Settings:
    return Settings(
        write_url=f"sqlite:///{folder}/shop.db", read_url=f"sqlite:///{folder}/{reader}", session_key=KEY, web_host="web-1", pool_size=2
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a migrated database, shop.db."""
    migrate(f"sqlite:///{tmp_path}/shop.db", None, timeout=1)
    return tmp_path


@pytest.fixture(autouse=True)
def _fast_password_hashing(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Passwords hashed in no time (one test looks at the true parameters)."""
    monkeypatch.setattr(accounts, "HASH_METHOD", "scrypt:1024:8:1")
    monkeypatch.setattr(accounts, "DUMMY_HASH", "scrypt:1024:8:1$salt$" + "0" * 128)


@pytest.fixture
def app(folder: Path) -> Iterator[Flask]:
    made = create_app(settings(folder))
    yield made
    database = made.extensions["shop"].database
    database.writer.dispose()
    database.reader.dispose()


class Browser:
    """A person at a browser: keeps cookies, fills in forms as the page gave them."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, base_url=ORIGIN)

    def send(self, page: str, to: str | None = None, **fields: str) -> TestResponse:
        """Send the form of `page` with its hidden fields and `fields`."""
        body = self.get(page).text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', body))
        return self.client.post(to or page, data=hidden | fields, base_url=ORIGIN)

    def sign_up(self, email: str = "ann@example.org") -> TestResponse:
        return self.send("/sign-up", name="Ann", email=email, password="correct horse")


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app.test_client())


@pytest.fixture
def new_browser(app: Flask) -> Callable[[], Browser]:
    return lambda: Browser(app.test_client())
