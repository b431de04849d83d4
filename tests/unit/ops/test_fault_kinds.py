"""What each kind of fault must have so that nothing falls through, and a kind that is added by one module."""

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab import control_client
from lab.hypervisor.faults.catalog import KINDS, create_injectors, parse, serialize
from lab.hypervisor.faults.command_line import API
from lab.hypervisor.faults.fault import Fault, FaultError, InjectorContext, LabSnapshot
from lab.lab_handle import LabHandle
from lab.names import LabNames
from lab.paths import REPOSITORY
from ops import cli
from tests.program_files import copy_program

DOCUMENT = REPOSITORY / "docs" / "faults.md"
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.kind_name() for kind in KINDS])
EMPTY_LAB = LabSnapshot(names=LabNames.of("dev"))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The descriptions that the daemon was given."""
    descriptions: list[dict[str, Any]] = []

    def inject(_names: LabNames, description: Mapping[str, Any], _seconds: float | None) -> dict[str, Any]:
        descriptions.append(dict(description))
        return {"id": "f1", "summary": ""}

    def runs(_: object) -> None:
        pass

    monkeypatch.setattr(control_client, "inject_fault", inject)
    monkeypatch.setattr(LabHandle, "require_running", runs)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return descriptions


def documented_lines(kind: type[Fault]) -> list[str]:
    """The command lines of a kind that the document shows."""
    lines = (line.partition("#")[0].strip() for line in DOCUMENT.read_text().splitlines() if line.startswith("    webstack lab fault "))
    return [line for line in lines if re.match(rf"webstack lab fault {kind.command()}( |$)", line)]


@EVERY_KIND
def test_a_kind_has_a_documented_command_whose_fault_is_said_in_words_and_kept(kind: type[Fault], given: list[dict[str, Any]]) -> None:
    assert documented_lines(kind), f"{DOCUMENT.name} shows no `webstack lab fault {kind.command()}`"
    for line in documented_lines(kind):
        result = CliRunner().invoke(cli.app, shlex.split(line)[1:], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        fault = parse(given[-1])
        assert type(fault) is kind
        assert fault.summary()
        assert not fault.summary().endswith(".")
        assert parse(json.loads(json.dumps(serialize(fault)))) == fault


@EVERY_KIND
def test_a_kind_is_refused_in_words_where_the_lab_has_not_what_it_names(kind: type[Fault], given: list[dict[str, Any]]) -> None:
    CliRunner().invoke(cli.app, shlex.split(documented_lines(kind)[0])[1:], catch_exceptions=False)
    fault = parse(given[-1])
    if kind.command_group is API:
        fault.check(EMPTY_LAB)
        assert fault.inactive_reasons(EMPTY_LAB) == []
        return
    with pytest.raises(FaultError, match=r"(this lab has no such host|no host of this lab is in it); give one of .*"):
        fault.check(EMPTY_LAB)
    assert fault.inactive_reasons(EMPTY_LAB)


@EVERY_KIND
def test_a_kinds_command_explains_itself_and_all_that_it_asks_for(kind: type[Fault]) -> None:
    shown = " ".join(CliRunner().invoke(cli.app, ["lab", "fault", *kind.command().split(), "--help"]).output.split())
    assert kind.__doc__, "it is the command's help"
    assert " ".join(inspect.cleandoc(kind.__doc__).split()) in shown
    for parameter in kind.parameters().values():
        assert parameter.help in shown
        assert (parameter.option or parameter.metavar or "?") in shown


@EVERY_KIND
def test_a_kind_is_its_injectors_which_a_lab_has_once(kind: type[Fault]) -> None:
    context = InjectorContext(load_rules=lambda _: None, run_tc=lambda _arguments, _input: "", set_api_faults=lambda _: None)
    assert [type(one) for one in create_injectors(context)].count(kind.injector) == 1


def test_every_command_that_the_document_shows_is_a_kinds_or_of_all_of_them() -> None:
    shown = set(re.findall(r"^    webstack lab fault (api \S+|\S+)", DOCUMENT.read_text(), re.MULTILINE))
    assert shown == {kind.command() for kind in KINDS} | {"list", "clear"}


SLOW_CLOCK = '''"""A kind that a test adds."""

from collections.abc import Sequence
from typing import Annotated, Literal

from lab.hypervisor.faults.command_line import Parameter
from lab.hypervisor.faults.fault import Fault, FaultInjector, LabSnapshot
from lab.hypervisor.faults.hosts import HostFault


class SlowClockInjector(FaultInjector):
    """Writes down which clocks are slow."""

    def apply(self, faults: Sequence[Fault], snapshot: LabSnapshot) -> None:
        slow = [f"{fault.host} {fault.percent}" for fault in faults if isinstance(fault, SlowClock)]
        (snapshot.names.state_dir / "clocks").write_text("; ".join(slow))


class SlowClock(HostFault):
    """Let a host's clock go slowly.

    Its programs see less time pass.
    """

    injector = SlowClockInjector

    kind: Literal["slow-clock"] = "slow-clock"
    percent: Annotated[int, Parameter(metavar="PERCENT", help="How much slower.")]
    stop: Annotated[bool, Parameter(option="--stop", help="Stop it now and then.")] = False

    def summary(self) -> str:
        return f"the clock of {self.host} is {self.percent} % slow{' and stops' if self.stop else ''}"

    def check(self, snapshot: LabSnapshot) -> None:
        snapshot.require_host(self.host)
'''

RUN = """
import json
import sys
from pathlib import Path
from unittest import mock

from typer.testing import CliRunner

from lab import control_client, names
from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults import catalog
from lab.hypervisor.faults.fault import InjectorContext
from lab.hypervisor.faults.registry import FaultRegistry
from lab.lab_handle import LabHandle
from ops import cli

names.STATE_ROOT = Path(sys.argv[1])
lab = names.LabNames.of("dev")
lab.state_dir.mkdir(parents=True)
context = InjectorContext(load_rules=lambda _: None, run_tc=lambda *_: "", set_api_faults=lambda _: None)
injectors = [one for one in catalog.create_injectors(context) if type(one).__name__ == "SlowClockInjector"]
registry = FaultRegistry(lab, injectors)
web = DesiredMachine(instance_id="i-1", region="r", state="running", name="web-1", role="web", zone="z", image_id="a", address=None)
registry.sync({"i-1": web})
told = []

def inject(_, description, seconds):
    given = registry.inject(description, seconds)
    return given.as_dict() | {"summary": given.fault.summary()}

def clear(_, fault_ids):
    return [one.as_dict() | {"summary": one.fault.summary()} for one in registry.clear(*fault_ids)]

def run(*words):
    told.append(CliRunner().invoke(cli.app, ["lab", "fault", *words]).output)
    told.append((lab.state_dir / "clocks").read_text())

with (
    mock.patch.object(control_client, "inject_fault", inject),
    mock.patch.object(control_client, "clear_faults", clear),
    mock.patch.object(LabHandle, "require_running"),
    mock.patch("os.geteuid", return_value=0),
):
    run("--help")
    run("slow-clock", "--help")
    run("slow-clock", "web-1", "20", "--stop")
    run("clear", "f1")
print(json.dumps(told))
"""


@pytest.mark.programs
def test_a_kind_more_is_one_module(tmp_path: Path) -> None:
    """As CONTRIBUTING.md says it, its documents and tests apart."""
    clone = copy_program(tmp_path, extra=("lab", "ops"))
    (clone / "lab" / "hypervisor" / "faults" / "kinds" / "slow_clock.py").write_text(SLOW_CLOCK)
    ran = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "state")],
        cwd=clone,
        env={"PYTHONPATH": str(clone), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    commands, nothing, explained, _, said, applied, ended, over = json.loads(ran.stdout.splitlines()[-1])
    assert "  slow-clock  Let a host's clock go slowly." in commands
    assert "Its programs see less time pass." in explained
    assert re.search(r"HOST <str> .*\n.*\n? *PERCENT <int> +How much slower\.", explained)
    assert "--stop" in explained
    assert said == "f1: the clock of web-1 is 20 % slow and stops\ntake it back: webstack lab fault clear f1\n"
    assert ended == "f1 is over: the clock of web-1 is 20 % slow and stops\n"
    assert (nothing, applied, over) == ("", "web-1 20", "")
