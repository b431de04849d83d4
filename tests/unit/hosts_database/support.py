"""What the tests of database hosts share: two hosts, a server as it is seen, and programs that are not run."""

from collections.abc import Callable
from dataclasses import replace
from subprocess import CompletedProcess
from typing import Any

from database_role.boot import PrimaryRecord
from database_role.gtid import GtidSet
from database_role.observed_state import LocalView
from database_role.variables import DatabaseVariables
from webstack_host.variables import Bundle, DatabaseEndpoint

UUID = "11111111-0000-0000-0000-000000000000"
DB_1 = DatabaseVariables(
    host="db-1",
    region="eu-central-1",
    zone="dev.webstack.internal",
    bucket="artifacts",
    role_bundle=Bundle(key="roles/database/x.tar.gz", sha256="a" * 64),
    secret_prefix="webstack/dev",
    readiness_timeout=900,
    server_id=1,
    private_address="10.20.4.11",
    dns_name="db-1.dev.webstack.internal",
    databases=(DatabaseEndpoint(host="db-1", address="10.20.4.11"), DatabaseEndpoint(host="db-2", address="10.20.5.11")),
    has_replica=True,
    volume_id="vol-0123456789abcdef0",
    network_cidr="10.20.0.0/16",
    schema="app",
    semi_sync_timeout_seconds=5,
    buffer_pool_mb=512,
)
DB_2 = replace(DB_1, host="db-2", server_id=2, private_address="10.20.5.11")
CLAIM = PrimaryRecord(primary="db-1", data_id="one")


def returning(value: object) -> Callable[..., Any]:
    """A function that takes anything and gives this."""
    return lambda *_, **__: value


def server(**changes: Any) -> LocalView:
    """An open primary with its replica, with changes."""
    values: dict[str, Any] = {
        "server_uuid": UUID,
        "read_only": False,
        "super_read_only": False,
        "executed": GtidSet.parse(""),
        "semi_sync": True,
        "replicas": 1,
    }
    return LocalView(**{**values, **changes})


class Runs:
    """Stands for programs: remembers calls, answers by first word with (code, output), by default success."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def __call__(self, command: list[Any], **_: Any) -> CompletedProcess[str]:
        words = [str(word) for word in command]
        self.calls.append(" ".join(words))
        code, out = self.answers.get(words[0].replace("-", "_"), (0, ""))
        return CompletedProcess(words, code, out, "")
