"""Takes the AWS API and other programs away from what hosts run."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from webstack_host.variables import Bundle, HostVariables

ROOT = Path(__file__).parents[3]
HOST = HostVariables(
    role="web",
    host="web-1",
    region="eu-central-1",
    zone="dev.webstack.internal",
    bucket="artifacts-1234567",
    role_bundle=Bundle(key="roles/web/x.tar.gz", sha256="a" * 64),
    secret_prefix="webstack/dev",
    readiness_timeout=600,
    reboot_day="sunday",
)


def returning(value: object) -> Callable[..., Any]:
    """A function that takes anything and gives this."""
    return lambda *_, **__: value


class FakePrograms:
    """Stands for every program: remembers each call, answers by the words it begins with, else with success and nothing said."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.answers: dict[str, tuple[int, str]] = {}

    def __call__(self, command: Sequence[str | Path], **_: Any) -> CompletedProcess[str]:
        words = [str(word) for word in command]
        self.calls.append(words)
        line = " ".join(words)
        code, out = next((answer for start, answer in self.answers.items() if line.startswith(start)), (0, ""))
        return CompletedProcess(words, code, out, "")


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    """Takes the place of `webstack_host.run.run` wherever it was imported."""
    fake = FakePrograms()
    for name, module in list(sys.modules.items()):
        if name.startswith(("webstack_host", "load_balancer_role", "web_role")) and hasattr(module, "run") and callable(module.run):
            monkeypatch.setattr(module, "run", fake)
    return fake
