"""What the runbooks have people type exists: programs of the hosts, units, settings, facts of the stack."""

import re
from pathlib import Path

import pytest

from stack.settings import reference_rows
from tests.unit.stack.conftest import ProgramRunner
from userdata.render import ROOT

RUNBOOKS = (Path(__file__).parents[3] / "docs" / "runbooks.md").read_text()
COMMANDS = [line.strip() for line in RUNBOOKS.splitlines() if line.startswith("    ")]
PROGRAMS = {path.name.removesuffix(".j2") for path in ROOT.glob("*/usr/local/sbin/*")}
UNITS = {path.name.rpartition(".")[0] for path in ROOT.glob("*/etc/systemd/system/webstack*.*")} | {"webstack-configure", "mysql"}


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_names_is_there(command: str) -> None:
    for unit in re.findall(r"(?:journalctl (?:-b )?-u|systemctl start) ([\w-]+)", command):
        assert unit in UNITS | PROGRAMS
    for program in re.findall(r"(?:^|sudo )(webstack-[\w-]+)", command):
        assert program in PROGRAMS
    for setting in re.findall(r"webstack:[\w.]+", command):
        assert setting in {key for key, _, _ in reference_rows()}
    for test in re.findall(r"pytest (\S+\.py)", command):
        assert (ROOT.parent / test).is_file()


def test_the_databases_volume_is_found_by_the_name_that_the_runbook_asks_for(program: ProgramRunner) -> None:
    [name] = re.findall(r"Name=tag:Name,Values=(\S+)", "\n".join(COMMANDS))
    volumes = {volume.inputs["tags"]["Name"] for volume in program("dev").by_type("ebs/volume:Volume")}
    assert name.replace("STACK", "dev") in volumes


def test_the_image_is_the_parameter_that_the_program_asks_for() -> None:
    [parameter] = re.findall(r"get-parameter --name (\S+)", "\n".join(COMMANDS))
    assert f'"{parameter}"' in (ROOT.parent / "stack/host.py").read_text()
