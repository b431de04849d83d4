"""An API for a moment: it is there while somebody holds it, and ends with him."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from lab.standalone_moto import standalone_moto

HOLD = """
import sys, time
from pathlib import Path
from lab.standalone_moto import standalone_moto

with standalone_moto(Path(sys.argv[1])) as url:
    print(url, flush=True)
    time.sleep(60)
"""


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_lab/regions", timeout=5):
            return True
    except OSError:
        return False


def test_it_answers_while_it_is_held(tmp_path: Path) -> None:
    with standalone_moto(tmp_path) as url:
        assert answers(url)
    assert not answers(url)


def test_a_profile_of_the_users_is_none_of_its_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that there is not keeps boto3 from making any client."""
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    with standalone_moto(tmp_path) as url:
        assert answers(url)


def test_it_ends_with_a_holder_that_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    try:
        assert holder.stdout is not None
        url = holder.stdout.readline().strip()
        assert answers(url)
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    deadline = time.monotonic() + 10
    while answers(url) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers(url)
