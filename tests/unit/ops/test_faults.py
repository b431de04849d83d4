"""What `webstack lab fault` asks of the daemon, and what it says."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from lab import control_client
from lab.hypervisor.faults.catalog import parse
from lab.lab_handle import LabHandle
from lab.names import LabNames
from ops import cli, faults
from tests.documented_commands import Command, documented_commands

ONE: dict[str, Any] = {
    "id": "f1",
    "summary": "every packet from web-1 to db-1 is dropped",
    "inactive_reasons": [],
    "expires_at": None,
    "fault": {"kind": "drop"},
}
WAITING: dict[str, Any] = {**ONE, "id": "f2", "inactive_reasons": ["there is no host web-1 now"]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the daemon was asked for; it has the faults `ONE` and `WAITING`."""
    log: list[tuple[Any, ...]] = []

    def give_fault(names: LabNames, description: Mapping[str, Any], seconds: float | None) -> dict[str, Any]:
        log.append((names.name, dict(description), seconds))
        return ONE

    def end_faults(_names: LabNames, fault_ids: list[str] | tuple[str, ...] = ()) -> list[dict[str, Any]]:
        log.append(("end", *fault_ids))
        return [ONE]

    monkeypatch.setattr(control_client, "inject_fault", give_fault)
    monkeypatch.setattr(control_client, "clear_faults", end_faults)
    monkeypatch.setattr(control_client, "faults", lambda _names: [ONE, WAITING])  # pyright: ignore[reportUnknownLambdaType,reportUnknownArgumentType]
    monkeypatch.setattr(LabHandle, "require_running", lambda _self: None)  # pyright: ignore[reportUnknownLambdaType,reportUnknownArgumentType]
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return log


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["lab", "fault", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("arguments", "description"),
    [
        (["zone", "eu-central-1a"], {"kind": "zone", "zone": "eu-central-1a"}),
        (["drop", "web-1", "db-1"], {"kind": "drop", "from": "web-1", "to": "db-1", "both_ways": False}),
        (["drop", "web-1", "db-1", "--both-ways"], {"kind": "drop", "from": "web-1", "to": "db-1", "both_ways": True}),
        (["loss", "web-1", "db-1", "30"], {"kind": "loss", "from": "web-1", "to": "db-1", "percent": "30", "both_ways": True}),
        (
            ["loss", "web-1", "db-1", "30", "--one-way"],
            {"kind": "loss", "from": "web-1", "to": "db-1", "percent": "30", "both_ways": False},
        ),
        (["bandwidth", "web-1", "db-1", "1mbit"], {"kind": "bandwidth", "from": "web-1", "to": "db-1", "rate": "1mbit", "both_ways": True}),
        (["delay", "web-1", "db-1", "5"], {"kind": "delay", "from": "web-1", "to": "db-1", "milliseconds": "5", "both_ways": True}),
        (["freeze", "web-1"], {"kind": "freeze", "host": "web-1"}),
        (["fill-disk", "db-1"], {"kind": "fill-disk", "host": "db-1", "volume": "data"}),
        (
            ["slow-disk", "db-1", "--write", "1MB/s", "--read-iops", "9", "--volume", "root"],
            {"kind": "slow-disk", "host": "db-1", "volume": "root", "write": "1MB/s", "read_iops": 9},
        ),
        (["api", "throttle"], {"kind": "api-throttle", "service": "", "percent": 50}),
        (["api", "throttle", "--rate", "5", "--service", "ec2"], {"kind": "api-throttle", "service": "ec2", "rate": 5}),
        (["api", "slow", "500"], {"kind": "api-slow", "service": "", "milliseconds": 500}),
        (["api", "down"], {"kind": "api-down", "service": ""}),
    ],
)
def test_each_command_asks_for_its_kind_of_fault(asked: list[tuple[Any, ...]], arguments: list[str], description: dict[str, Any]) -> None:
    run(*arguments, "--for", "2.5", "--lab", "other")
    assert asked == [("other", description, 2.5)]
    assert parse(description).summary()


@pytest.mark.parametrize("command", [one for one in documented_commands() if one.document == "faults.md" and not one.mention], ids=str)
def test_what_the_document_types_is_a_fault_that_the_daemon_takes(asked: list[tuple[Any, ...]], command: Command) -> None:
    run(*command.words[3:])
    for kind, description, *_ in asked:
        assert kind == "end" or parse(description).summary()


def test_giving_says_what_goes_wrong_and_how_to_take_it_back(asked: list[tuple[Any, ...]]) -> None:
    assert run("drop", "web-1", "db-1").splitlines() == [
        "f1: every packet from web-1 to db-1 is dropped",
        "take it back: webstack lab fault clear f1",
    ]
    assert run("drop", "web-1", "db-1", "--lab", "other", "--for", "9").splitlines()[1] == (
        "take it back: webstack lab fault clear f1 --lab other; it ends by itself after 9 s"
    )
    assert json.loads(run("drop", "web-1", "db-1", "--json")) == ONE
    assert len(asked) == 3


def test_what_is_on_is_listed(asked: list[tuple[Any, ...]]) -> None:
    shown = run("list")
    assert "f1     every packet from web-1 to db-1 is dropped" in shown
    assert "(without effect: there is no host web-1 now)" in shown
    assert json.loads(run("list", "--json")) == [ONE, WAITING]
    assert asked == []
    assert faults.format_faults([ONE]) == ["fault f1 is on: every packet from web-1 to db-1 is dropped"]


def test_faults_are_taken_back_by_their_ids_or_all_and_never_by_accident(asked: list[tuple[Any, ...]]) -> None:
    assert run("clear", "f1", "f2") == "f1 is over: every packet from web-1 to db-1 is dropped\n"
    run("clear", "--all")
    assert asked == [("end", "f1", "f2"), ("end",)]
    for arguments in (["clear"], ["clear", "f1", "--all"]):
        assert CliRunner().invoke(cli.app, ["lab", "fault", *arguments]).exit_code == 1
    assert len(asked) == 2


@pytest.mark.parametrize("command", ["zone", "drop", "loss", "bandwidth", "delay", "list", "clear"])
def test_every_command_explains_itself(command: str) -> None:
    assert command in run("--help")
    assert len(run(command, "--help").splitlines()) > 5
