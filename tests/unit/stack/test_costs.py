"""What the README says that AWS bills for is what the program makes."""

from collections import Counter

import pytest

from tests.unit.monitor import Program
from tests.unit.stack.conftest import REPOSITORY, RunProgram


def _row(stack: str, program: Program) -> str:
    types = Counter(str(host.inputs["instanceType"]) for host in program.of("ec2/instance:Instance"))
    instances = ", ".join(f"{count} {kind}" for kind, count in sorted(types.items()))
    roots = [int(host.inputs["rootBlockDevice"]["volumeSize"]) for host in program.of("ec2/instance:Instance")]
    data = [int(volume.inputs["size"]) for volume in program.of("ebs/volume:Volume")]
    counted = [len(program.of(token)) for token in ("ec2/natGateway:NatGateway", "ec2/eip:Eip", "secretsmanager/secret:Secret")]
    cells = [stack, instances, f"{len(roots + data)}, {sum(roots + data)} GB", *map(str, counted)]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_readme_lists_what_aws_bills_for(program: RunProgram, stack: str) -> None:
    row = _row(stack, program(stack))
    assert row in (REPOSITORY / "README.md").read_text(), f"the README lacks the row {row}"
