"""Takes over secrets that changed while this host serves: the environment is written anew and the app reloaded, and no request is lost."""

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
"""The app's own folder: made anew at each start, gone at each stop, as is what a reload was told in it."""
VERSIONS_FILE = Path("/run/webstack/secrets.json")
"""The versions that the running app uses; no value."""
RELOAD_TIMEOUT = 90.0
"""Seconds for the old workers of a reload to finish their requests; Gunicorn gives them `graceful_timeout`."""


class SecretSync:
    """What follows the secrets on a running host, one look at a time."""

    def __init__(self, variables: WebVariables) -> None:
        self._variables = variables
        self._values = stack_secrets.SecretCache()
        self._notice = stack_secrets.ChangeNotice()
        self._seen: Mapping[str, Sequence[str]] | None = None

    def step(self, now: float) -> bool:
        """Looks where it is time to; whether the app uses other secrets now. Raises what the AWS API raises.

        What nobody announced is used at the second sight: by then the primary database has looked too, and takes a new password.
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
    """Makes the app use these secrets; returns once no process uses others. Raises RuntimeError where that is not so yet."""
    environment.write(variables, secrets)
    reload(environment.app_variables(variables, secrets))
    save_versions(secrets)


def reload(variables: Mapping[str, str]) -> None:
    """Gives a running app other variables and waits until its old workers are gone; one that does not run has read the file at its start.

    systemd reads EnvironmentFile= at a start alone; what a reload is to read lies in the app's own folder (etc/webstack/gunicorn.conf.py).
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
    """The process id of Gunicorn's master; 0 where it does not run."""
    return int(run(["systemctl", "show", "--property=MainPID", "--value", APP]).stdout.strip() or 0)


def children(parent: int) -> set[int]:
    """The process ids of a process's children."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything; state and parent follow it (proc_pid_stat(5)).
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.add(int(path.parent.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def save_versions(secrets: AppSecrets) -> None:
    """Notes which versions the app uses from now on."""
    files.write(VERSIONS_FILE, json.dumps(secrets.versions))


def load_versions() -> dict[str, list[str]]:
    """The versions that the app uses; none before the first boot has come so far."""
    try:
        return cast("dict[str, list[str]]", json.loads(VERSIONS_FILE.read_text()))
    except (OSError, ValueError):
        return {}


def main() -> None:
    """Runs for ever."""
    following = SecretSync(config.load(WebVariables))
    while True:
        try:
            if following.step(time.monotonic()):
                print("webstack-secrets: the app uses what changed", file=sys.stderr, flush=True)
        except Exception as error:
            print(f"webstack-secrets: {error}", file=sys.stderr, flush=True)
        time.sleep(stack_secrets.NOTICE_INTERVAL)
