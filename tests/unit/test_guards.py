"""The guards that keep unit tests to themselves are shown to fire."""

import socket
import subprocess

import pytest


def test_a_unit_test_that_reaches_the_network_fails() -> None:
    with socket.socket() as connection, pytest.raises(AssertionError, match="reaches for"):
        connection.connect(("192.0.2.1", 80))


def test_a_unit_test_that_runs_a_program_unmarked_fails() -> None:
    with pytest.raises(AssertionError, match="mark it `programs`"):
        subprocess.run(["true"], check=False)


@pytest.mark.programs
def test_a_unit_test_marked_for_it_may_run_a_program() -> None:
    assert subprocess.run(["true"], check=False).returncode == 0
