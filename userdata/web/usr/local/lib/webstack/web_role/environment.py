"""The app's environment variables, with its secrets, in files that only root can read and that are only in memory."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from webstack_host import files, stack_secrets
from webstack_host.errors import PermanentError

from web_role.variables import WebVariables

APP_FILE = "/run/webstack/app.env"
MIGRATE_FILE = "/run/webstack/migrate.env"
DATABASE_CA = "/run/webstack/database-ca.pem"
MIGRATE_MARGIN = 30
"""Seconds before the limit at which the migration gives up itself: its own error says more than being stopped."""
WRITE_PORT = 3306
READ_PORT = 3307


@dataclass(frozen=True, kw_only=True)
class AppSecrets:
    """The app's secrets. `fallbacks`: session keys that are accepted but not used to sign, the upcoming one first."""

    migrator: str
    writer: str
    reader: str
    session_key: str
    fallbacks: tuple[str, ...] = ()
    versions: dict[str, list[str]]
    """Purpose → the ids of the versions in use."""


def fetch(values: stack_secrets.SecretCache) -> AppSecrets:
    """Returns the secrets according to their current labels. Raises what the AWS API raises."""
    versions: dict[str, list[str]] = {}

    def used(purpose: str) -> str:
        versions[purpose] = [stack_secrets.labels(purpose).current]
        return values.get(purpose, versions[purpose][0])

    key = stack_secrets.labels("app-session-key")
    versions["app-session-key"] = [version for version in (key.current, key.pending, key.previous) if version]
    session_key, *fallbacks = (values.get("app-session-key", version) for version in versions["app-session-key"])
    return AppSecrets(
        migrator=used("app-migrator"),
        writer=used("app-writer"),
        reader=used("app-reader"),
        session_key=session_key,
        fallbacks=tuple(fallbacks),
        versions=versions,
    )


def write(variables: WebVariables, secrets: AppSecrets) -> bool:
    """Writes both files. Returns whether the app's changed."""
    files.write(MIGRATE_FILE, env_file(migration_variables(variables, secrets.migrator)), mode=0o600)
    return files.write(APP_FILE, env_file(app_variables(variables, secrets)), mode=0o600)


def app_variables(variables: WebVariables, secrets: AppSecrets) -> dict[str, str]:
    """Returns the running app's variables, with these secrets."""
    return build_app_variables(
        variables, writer=secrets.writer, reader=secrets.reader, session_key=secrets.session_key, fallbacks=secrets.fallbacks
    )


def build_app_variables(
    variables: WebVariables, *, writer: str, reader: str, session_key: str, fallbacks: Sequence[str] = ()
) -> dict[str, str]:
    """Returns the running app's variables."""
    return {
        "APP_MODULE": variables.app_module,
        "WEB_CONCURRENCY": str(variables.workers or max(2, os.cpu_count() or 1)),
        "WEB_HOST": variables.host,
        "SITE_HOST": variables.site_host,
        "DATABASE_WRITE_URL": database_url("app_writer", writer, WRITE_PORT, variables.schema),
        "DATABASE_READ_URL": database_url("app_reader", reader, READ_PORT, variables.schema),
        "DATABASE_CA": DATABASE_CA,
        "SESSION_KEY": session_key,
        "SESSION_KEY_FALLBACKS": ",".join(fallbacks),
    }


def migration_variables(variables: WebVariables, password: str) -> dict[str, str]:
    """Returns the migration's variables: its own account, and none of the app's secrets."""
    return {
        "MIGRATE_DATABASE_URL": database_url("app_migrator", password, WRITE_PORT, variables.schema),
        "MIGRATE_TIMEOUT": str(variables.migrate_timeout - MIGRATE_MARGIN),
        "DATABASE_CA": DATABASE_CA,
    }


def database_url(user: str, password: str, port: int, schema: str) -> str:
    """Returns SQLAlchemy's URL for the local proxy."""
    return f"mysql+pymysql://{user}:{quote(password, safe='')}@127.0.0.1:{port}/{schema}"


def env_file(variables: Mapping[str, str]) -> str:
    """Returns the text for systemd's EnvironmentFile=. Raises PermanentError for a multi-line value, without quoting it."""
    for name, value in variables.items():
        if not value.isprintable():
            raise PermanentError(f"{name} holds a line end or another control character; the environment of a service takes one line")
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in variables.items()}
    return "".join(f'{name}="{value}"\n' for name, value in escaped.items())
