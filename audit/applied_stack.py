"""A stack applied by the real engine to an empty API: what the scanners look at. No host boots."""

import contextlib
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pulumi import automation as auto

from audit import policies, prowler
from audit.account import Account
from audit.findings import AuditError, Finding
from lab.engine import pulumi_cli
from lab.engine.engine import Engine, EngineOptions
from lab.engine.workspace import Setting
from lab.paths import REPOSITORY
from lab.standalone_moto import standalone_moto
from ops.engine_run import interruptible
from ops.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class AppliedStack:
    """An applied stack: its account, and the types of its resources."""

    account: Account
    types: frozenset[str]


@contextlib.contextmanager
def apply_stack(stack: str, console: Terminal) -> Generator[AppliedStack]:
    """Applies a stack and keeps its API while the context is open. Raises AuditError with the engine's own words where it fails."""
    with tempfile.TemporaryDirectory(prefix="webstack-audit-") as folder, standalone_moto(Path(folder)) as endpoint:
        options = EngineOptions(
            home=Path(folder) / "engine",
            repository=REPOSITORY,
            stack=stack,
            endpoint=endpoint,
            pulumi_root=pulumi_cli.ensure(),
            settings=[Setting.parse("readiness.wait=false")],
            checkpoints=False,
        )
        with Engine(options) as engine:
            try:
                interruptible(engine, console, engine.up)
            except auto.CommandError as error:
                raise AuditError(f"{stack} could not be applied:\n{str(error)[-3000:]}") from None
            types = resource_types(engine)
        yield AppliedStack(account=Account(endpoint=endpoint, stack=stack), types=types)


def resource_types(engine: Engine) -> frozenset[str]:
    """The types of all resources in the engine's state."""
    deployment = engine.stack.export_stack().deployment or {}
    return frozenset(str(one["type"]) for one in deployment["resources"])


def scan(stack: AppliedStack) -> list[Finding]:
    """What all scanners say of a stack. Raises AuditError."""
    return [*policies.scan(stack.account), *prowler.scan(stack.account, prowler.services(stack.types))]
