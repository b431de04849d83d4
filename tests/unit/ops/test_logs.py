"""What `webstack lab logs` and `exec` run, of hosts that run and hosts that do not."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.lab_handle import LabHandle
from lab.names import LabNames
from ops import hosts, logs
from ops.errors import UserError

WEB = {"name": "web-1", "role": "web", "instance_id": "i-new", "state": "running"}
OLD = WEB | {"instance_id": "i-old", "state": "shutting-down"}
DATABASE = {"name": "db-1", "role": "database", "instance_id": "i-db", "state": "stopped"}


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the hosts' files are; the hosts are two of one name and a database that is off."""

    def status(_: LabNames) -> dict[str, Any]:
        return {"hosts": [WEB, OLD, DATABASE]}

    def machine_dir(_: LabNames, instance_id: str) -> Path:
        return tmp_path / instance_id

    def leader(_: LabNames, instance_id: str) -> int | None:
        return None if instance_id == "i-db" else 4711

    monkeypatch.setattr("lab.control_client.status", status)
    monkeypatch.setattr("lab.control_client.init_pid", leader)
    monkeypatch.setattr(LabNames, "machine_dir", machine_dir)
    return tmp_path


def shown(host: str, **options: Any) -> tuple[list[str], list[str]]:
    """The command line, and what people are told."""
    told: list[str] = []
    return logs.log_command(LabHandle.of("unit"), host, on_progress=told.append, **options), told


def test_of_two_hosts_of_one_name_it_is_said_which_one_is_shown(machines: Path) -> None:
    command, told = shown("web-1")
    assert command == ["journalctl", "--no-pager", "--directory", str(machines / "i-new/upper/var/log/journal"), "--lines", "200"]
    assert told == ["web-1: using i-new (running); for i-old (shutting-down) give the id instead of the name"]
    command, told = shown("web-1", instance="i-old", unit="nginx", since="10 min ago", lines=0)
    assert command[3:] == [str(machines / "i-old/upper/var/log/journal"), "--unit", "nginx", "--since", "10 min ago", "--lines", "all"]
    assert told == []
    with pytest.raises(UserError, match="--instance i-db: that is db-1, not web-1"):
        shown("web-1", instance="i-db")


@pytest.mark.programs
def test_lines_since_a_time_are_counted_from_the_end(machines: Path, tmp_path: Path) -> None:
    """A journalctl of systemd 252, which counts them from that time on, is stood in for by one that prints all it is asked for."""
    (tmp_path / "journalctl").write_text('#!/bin/sh\nfor word in first second third; do echo "$word"; done; echo "$@" >&2\n')
    (tmp_path / "journalctl").chmod(0o755)
    command, _ = shown("web-1", since="-5min", lines=2)
    shows = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=shows, timeout=30)
    assert result.stdout.split() == ["second", "third"]
    assert result.stderr.split()[-4:] == ["--since", "-5min", "--lines", "all"]


def test_what_servers_write_into_files_is_shown_of_hosts_that_are_off_too(machines: Path) -> None:
    file = machines / "i-db/upper/var/log/mysql/slow-queries"
    with pytest.raises(UserError, match="db-1 has no /var/log/mysql/slow-queries yet"):
        shown("db-1", source=logs.LogSource.SLOW)
    file.parent.mkdir(parents=True)
    file.touch()
    assert shown("db-1", source=logs.LogSource.SLOW, lines=5)[0] == ["tail", "-n", "5", str(file)]
    with pytest.raises(UserError, match="web-1 is a web host: MySQL's log of slow statements is on database hosts"):
        shown("web-1", source=logs.LogSource.SLOW)
    with pytest.raises(UserError, match="--unit and --since select journal entries"):
        shown("web-1", source=logs.LogSource.ACCESS, since="today")


def test_what_is_followed_is_read_on_the_host_which_must_run(machines: Path) -> None:
    journal, _ = shown("web-1", follow=True, unit="webstack-app")
    assert journal[0] == "nsenter"
    assert journal[-7:] == ["journalctl", "--no-pager", "--follow", "--unit", "webstack-app", "--lines", "200"]
    access, _ = shown("web-1", follow=True, source=logs.LogSource.ACCESS)
    assert access[-5:] == ["tail", "-n", "200", "-F", "/var/log/nginx/access.log"]
    with pytest.raises(UserError, match="db-1 is stopped: nothing can be run there"):
        shown("db-1", follow=True)


def test_a_command_on_a_host_gets_nothing_of_the_callers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CANARY": "sings", "AWS_SECRET_ACCESS_KEY": "s", "PATH": "/home/me", "HOME": "/home/me", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    given = hosts.command_environment()
    assert set(given) == {"PATH", "HOME", "TERM", "LANG"}
    assert (given["HOME"], given["TERM"]) == ("/root", "xterm")
    assert "/home/me" not in given["PATH"]
