"""What docs/costs.md says that AWS bills for is what the program makes."""

import sys
from collections import Counter
from importlib import import_module
from types import ModuleType

import pytest

from tests.unit.monitor import RecordedProgram
from tests.unit.stack.conftest import REPOSITORY, ProgramRunner


@pytest.fixture
def host_readiness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hosts' own figures."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(REPOSITORY / "userdata/common/usr/local/lib/webstack")])
    return import_module("webstack_host.readiness")


def _row(stack: str, program: RecordedProgram) -> str:
    types = Counter(str(host.inputs["instanceType"]) for host in program.by_type("ec2/instance:Instance"))
    instances = ", ".join(f"{count} {kind}" for kind, count in sorted(types.items()))
    roots = [int(host.inputs["rootBlockDevice"]["volumeSize"]) for host in program.by_type("ec2/instance:Instance")]
    data = [int(volume.inputs["size"]) for volume in program.by_type("ebs/volume:Volume")]
    counted = [len(program.by_type(token)) for token in ("ec2/natGateway:NatGateway", "ec2/eip:Eip", "secretsmanager/secret:Secret")]
    cells = [stack, instances, f"{len(roots + data)}, {sum(roots + data)} GB", *map(str, counted)]
    return f"| {' | '.join(cells)} |"


def test_the_document_counts_what_a_host_writes_in_a_month(host_readiness: ModuleType) -> None:
    month = 730.5 * 3600  # a twelfth of a year
    most = month / host_readiness.HEARTBEAT
    costs = (REPOSITORY / "docs/costs.md").read_text()
    assert f"{round(most, -3):,.0f} PUT requests a month at most" in costs
    assert 0.2 < most * 0.005 / 1000 < 0.3, "a quarter of a dollar"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_document_lists_what_aws_bills_for(program: ProgramRunner, stack: str) -> None:
    row = _row(stack, program(stack))
    assert row in (REPOSITORY / "docs/costs.md").read_text(), f"docs/costs.md lacks the row {row}"
