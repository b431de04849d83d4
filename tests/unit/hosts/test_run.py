"""Programs that a host runs, and what is said of those that fail."""

import pytest
from webstack_host import run
from webstack_host.errors import PermanentError


@pytest.mark.programs
def test_a_failed_program_is_named_with_its_last_lines() -> None:
    with pytest.raises(run.CommandError, match=r"(?s)^sh -c .*: exit code 3\nline 6\n.*line 20$"):
        run.run(["sh", "-c", "seq -f 'line %g' 20; exit 3"])
    with pytest.raises(run.CommandError, match="no-such-program is not there"):
        run.run(["no-such-program"])
    with pytest.raises(run.CommandError, match=r"still running after 0\.05 s"):
        run.run(["sleep", "5"], timeout=0.05)
    assert run.run(["false"], check=False).returncode == 1
    assert run.run(["cat"], input="in").stdout == "in"


@pytest.mark.programs
def test_a_configuration_that_its_own_program_refuses_is_not_mended_by_waiting() -> None:
    with pytest.raises(PermanentError, match=r"(?s)^sh -c .*unknown directive$"):
        run.validate(["sh", "-c", "echo unknown directive; exit 1"])
