"""How a lab's daemon is started: it is not to act for the user."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import lab_handle
from lab.lab_handle import DaemonError, LabHandle
from lab.processes import environment_without_aws

USERS = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE")


def test_the_daemon_gets_none_of_the_users_aws_settings_and_all_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in USERS:
        monkeypatch.setenv(name, "of-my-own")
    monkeypatch.setenv("MY_AWS_PROFILE", "kept")
    started: list[Mapping[str, str]] = []
    answers = iter([False, True])

    class Daemon:
        def __init__(self, _: object, *, env: Mapping[str, str], **__: Any) -> None:
            started.append(env)

        def poll(self) -> None:
            """Runs."""

    def running(_: LabHandle) -> bool:
        return next(answers)

    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    monkeypatch.setattr(lab_handle.subprocess, "Popen", Daemon)
    monkeypatch.setattr(LabHandle, "running", running)
    LabHandle.of("unit").start(print)
    [environment] = started
    assert [name for name in environment if name.startswith("AWS_")] == []
    assert environment["MY_AWS_PROFILE"] == "kept"
    assert environment == environment_without_aws()


@pytest.mark.parametrize(("user", "says"), [(0, "is not running. Start it"), (65534, "can only be reached by root: run this as root")])
def test_who_may_not_know_whether_a_lab_runs_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, says: str) -> None:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    monkeypatch.setattr(lab_handle.os, "geteuid", lambda: user)
    with pytest.raises(DaemonError, match=says):
        LabHandle.of("unit").require_running()
