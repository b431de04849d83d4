"""The shop's configuration, read once from the environment."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

MIN_KEY_LENGTH = 32


class SettingsError(Exception):
    """A setting is missing or unusable; the text names the variable, the rule and what to do."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that differs from one place of the shop to another.

    write_url, read_url: SQLAlchemy URLs, e.g. `mysql+pymysql://app_writer:…@127.0.0.1:3306/app`. Equal where there is one database.
    session_key: the secret that signs cookies and tokens; the same on every web host.
    session_key_fallbacks: keys that are accepted besides and sign nothing: while the key is changed, there are two.
    database_ca: PEM file with the certificates that database servers are trusted by; None only where the URL needs no TLS.
    web_host: the name shown in the footer.
    pool_size: database connections that one worker process keeps to each of the two.
    """

    write_url: str
    read_url: str
    session_key: str
    session_key_fallbacks: tuple[str, ...] = ()
    database_ca: str | None = None
    web_host: str = "localhost"
    pool_size: int = 8

    @property
    def session_keys(self) -> list[str]:
        """All session keys as itsdangerous takes them: the one that signs is the last."""
        return [*reversed(self.session_key_fallbacks), self.session_key]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Settings from the environment's DATABASE_WRITE_URL, DATABASE_READ_URL, DATABASE_CA, SESSION_KEY, SESSION_KEY_FALLBACKS, WEB_HOST
        and DATABASE_POOL_SIZE.
        """
        env = os.environ if environment is None else environment
        key = required_env("SESSION_KEY", env)
        if len(key) < MIN_KEY_LENGTH:
            raise SettingsError(f"SESSION_KEY has {len(key)} characters: give at least {MIN_KEY_LENGTH} random ones")
        return cls(
            write_url=_url_env("DATABASE_WRITE_URL", env),
            read_url=_url_env("DATABASE_READ_URL", env),
            session_key=key,
            session_key_fallbacks=tuple(filter(None, env.get("SESSION_KEY_FALLBACKS", "").split(","))),
            database_ca=env.get("DATABASE_CA") or None,
            web_host=env.get("WEB_HOST") or socket.gethostname(),
            pool_size=positive_int_env("DATABASE_POOL_SIZE", 8, env),
        )


def required_env(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The variable's value. Raises SettingsError when there is none."""
    value = environment.get(name)
    if not value:
        raise SettingsError(f"{name} is not set: the shop cannot do without")
    return value


def positive_int_env(name: str, default: int, environment: Mapping[str, str] = os.environ) -> int:
    """The variable's value from 1 up. Raises SettingsError."""
    value = environment.get(name) or str(default)
    if not value.isdecimal() or int(value) < 1:
        raise SettingsError(f"{name} is {value!r}: give a whole number from 1")
    return int(value)


def _url_env(name: str, environment: Mapping[str, str]) -> str:
    url = required_env(name, environment)
    try:
        make_url(url)
    except ArgumentError:
        # The value holds a password: it is not repeated.
        raise SettingsError(f"{name} is not a database URL: expected mysql+pymysql://USER:PASSWORD@HOST:PORT/SCHEMA") from None
    return url
