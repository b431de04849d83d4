"""Applies changed secrets on a serving host: writes the environment again and reloads the app without losing a request."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from webstack_host import config, files, services, stack_secrets
from webstack_host.run import run

from web_role import environment
from web_role.environment import AppSecrets
from web_role.variables import WebVariables

APP = "webstack-app.service"
RUNTIME = Path("/run/webstack-app")
"""The app's runtime folder, recreated at each start and removed at each stop, with the variables for a reload."""
VERSIONS_FILE = Path("/run/webstack/secrets.json")
"""The file with the ids of the versions that the running app uses; it contains no values."""
RELOAD_TIMEOUT = 90.0
"""Seconds to wait for a reload's old workers to finish their requests; Gunicorn gives them `graceful_timeout`."""


class SecretSync:
    """Follows the secrets on a running host, one step at a time."""

    def __init__(self, variables: WebVariables) -> None:
        self._variables = variables
        self._values = stack_secrets.SecretCache()
        self._notice = stack_secrets.ChangeNotice()
        self._seen: Mapping[str, Sequence[str]] | None = None

    def step(self, now: float) -> bool:
        """Reads the secrets if it is time to. Returns whether the app now uses others. Raises what the AWS API raises.

        A change without a notice is applied at the second read: by then the primary database has seen it too and accepts a new password.
        """
        announced = self._notice.is_new()
        if not announced and not self._notice.due(now):
            return False
        found = environment.fetch(self._values)
        changed = found.versions != load_versions()
        if changed and not announced and self._seen != found.versions:
            self._seen = found.versions
            self._notice.mark_done(now)
            return False
        if changed:
            apply_secrets(self._variables, found)
        self._notice.mark_done(now)
        return changed


def apply_secrets(variables: WebVariables, secrets: AppSecrets) -> None:
    """Makes the app use these secrets, and returns once no process uses others. Raises RuntimeError if that is not so in time."""
    environment.write(variables, secrets)
    reload(environment.app_variables(variables, secrets))
    save_versions(secrets)


def reload(variables: Mapping[str, str]) -> None:
    """Gives a running app new variables and waits until its old workers are gone. An app that does not run reads the file when it starts.

    systemd reads EnvironmentFile= only at a start; a reload reads a file in the app's runtime folder (etc/webstack/gunicorn.conf.py).
    """
    main = main_process()
    if not main:
        return
    if not services.is_active(APP):
        raise RuntimeError(f"{APP} is just starting")
    before = children(main)
    owner = RUNTIME.stat()
    files.write_for(RUNTIME / "environment.json", json.dumps(dict(variables)), uid=owner.st_uid, gid=owner.st_gid, mode=0o400)
    run(["systemctl", "reload", APP])
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while before & children(main):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{APP}: workers from before the reload still run")
        time.sleep(0.2)


def main_process() -> int:
    """Returns the process id of Gunicorn's master; 0 if it does not run."""
    return int(run(["systemctl", "show", "--property=MainPID", "--value", APP]).stdout.strip() or 0)


def children(parent: int) -> set[int]:
    """Returns the process ids of a process's children."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may contain any character; state and parent follow it (proc_pid_stat(5)).
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.add(int(path.parent.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def save_versions(secrets: AppSecrets) -> None:
    """Records the versions that the app uses from now on."""
    files.write(VERSIONS_FILE, json.dumps(secrets.versions))


def load_versions() -> dict[str, list[str]]:
    """Returns the versions that the app uses; empty before the first boot has recorded them."""
    try:
        return cast("dict[str, list[str]]", json.loads(VERSIONS_FILE.read_text()))
    except (OSError, ValueError):
        return {}


def main() -> None:
    """Runs forever."""
    following = SecretSync(config.load(WebVariables))
    while True:
        try:
            if following.step(time.monotonic()):
                print("webstack-secrets: the app uses what changed", file=sys.stderr, flush=True)
        except Exception as error:
            print(f"webstack-secrets: {error}", file=sys.stderr, flush=True)
        time.sleep(stack_secrets.NOTICE_INTERVAL)
