"""The wait for apt's locks, with real locks that another process holds."""

import subprocess
import sys
from pathlib import Path

import jinja2
import pytest

from .conftest import ROOT

SBIN = ROOT / "userdata/common/usr/local/sbin"
LOCKS = ("lib/dpkg/lock-frontend", "lib/dpkg/lock", "lib/apt/lists/lock", "cache/apt/archives/lock")
"""Below /var. apt-pkg and dpkg lock whole files with fcntl(2)'s F_SETLK."""

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class Apt:
    """Apt's lock files below a folder, and the script that waits for them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)  # noqa: S701  Python, not HTML
        self.text = environment.from_string((SBIN / "webstack-await-apt.j2").read_text()).render()
        for lock in LOCKS:
            assert f'"/var/{lock}"' in self.text
            (root / lock).parent.mkdir(parents=True, exist_ok=True)

    def lock(self, name: str) -> "subprocess.Popen[str]":
        """A process that holds one of them until its stdin ends."""
        command = [sys.executable, "-c", HOLD, str(self.root / name)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        return holder

    def start(self, *command: str, limit: int = 60) -> "subprocess.Popen[str]":
        """The script, running, with a command of its own."""
        script = self.root / "await-apt"
        assert "time.monotonic() + 60," in self.text
        script.write_text(self.text.replace('"/var/', f'"{self.root}/').replace("time.monotonic() + 60,", f"time.monotonic() + {limit},"))
        return subprocess.Popen([sys.executable, str(script), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    return Apt(tmp_path)


@pytest.mark.programs
@pytest.mark.parametrize("lock", LOCKS)
def test_a_command_runs_once_the_lock_is_free_and_until_then_its_holder_is_named(apt: Apt, lock: str) -> None:
    with apt.lock(lock) as holder, apt.start("echo", "done") as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith(f"echo waits: {apt.root}/{lock} is held by process {holder.pid} (python")
        assert waiting.poll() is None
        holder.communicate("")
        assert waiting.communicate()[0] == "done\n"
        assert waiting.returncode == 0


@pytest.mark.programs
def test_a_wait_in_vain_ends_with_a_status_of_its_own_and_the_command_never_ran(apt: Apt) -> None:
    with apt.lock(LOCKS[2]) as holder, apt.start("touch", str(apt.root / "ran"), limit=0) as waiting:
        said = waiting.communicate()[1]
        assert (waiting.returncode, said.count("is held by process")) == (75, 1)
        assert not (apt.root / "ran").exists()
        holder.communicate("")


@pytest.mark.programs
def test_where_nobody_holds_a_lock_the_commands_status_is_the_answer(apt: Apt) -> None:
    (apt.root / LOCKS[0]).touch()
    with apt.start("sh", "-c", "exit 3") as waiting:
        assert waiting.communicate() == ("", "")
        assert waiting.returncode == 3


@pytest.mark.programs
def test_a_lock_taken_between_the_look_and_the_command_is_waited_for_too(apt: Apt) -> None:
    fails_once = "cd $0; test -e again && exit 0; touch again; echo begun; until test -e taken; do sleep 0.05; done; exit 100"
    with apt.start("sh", "-c", fails_once, str(apt.root)) as waiting:
        assert waiting.stdout is not None
        assert waiting.stderr is not None
        assert waiting.stdout.readline() == "begun\n"
        with apt.lock(LOCKS[3]) as holder:
            (apt.root / "taken").touch()
            assert f"is held by process {holder.pid}" in waiting.stderr.readline()
            holder.communicate("")
        waiting.communicate()
        assert waiting.returncode == 0
