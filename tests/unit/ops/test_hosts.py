"""What `webstack lab status` makes of the daemon's words."""

import io
from typing import Any

import pytest

from lab.errors import LabError
from lab.lab_handle import LabHandle
from lab.names import LabNames
from ops import hosts
from ops.errors import UserError
from ops.terminal import Terminal

_ROW = {
    "name": "web-1",
    "role": "web",
    "zone": "a",
    "private_ip": "",
    "public_ip": "",
    "instance_id": "i-1",
    "state": "running",
    "ready": True,
}
_FAULT = "rule sgr-1 of security group sg-1 (webs) permits nothing: 90 to 80 is not a range of ports"


def test_a_rule_that_cannot_be_obeyed_is_told_with_the_hosts_concerned() -> None:
    said: dict[str, Any] = {
        "api_error": None,
        "firewall_problems": [
            _FAULT,
            "rule sgr-2 of security group sg-9 (unused) permits nothing: it names 0 peers, but a rule must have exactly one",
        ],
        "hosts": [_ROW | {"name": "web-2", "problems": [_FAULT]}, _ROW | {"problems": [_FAULT]}, _ROW | {"name": "db-1", "problems": []}],
    }
    assert hosts.find_problems(said) == [
        f"web-1, web-2: {_FAULT}",
        "no host: rule sgr-2 of security group sg-9 (unused) permits nothing: it names 0 peers, but a rule must have exactly one",
    ]
    assert [host.as_dict()["problems"] for host in hosts.parse_hosts(said)] == [(), (_FAULT,), (_FAULT,)]


def test_an_api_that_cannot_be_followed_is_told() -> None:
    assert hosts.find_problems({"api_error": "it does not answer", "firewall_problems": [], "hosts": []}) == ["it does not answer"]


@pytest.mark.parametrize("leaving", ["shutting-down", "terminated", "stopping"])
@pytest.mark.parametrize("old", ["i-0", "i-9"])
def test_of_two_hosts_of_one_name_the_one_that_stays_is_meant(monkeypatch: pytest.MonkeyPatch, leaving: str, old: str) -> None:
    rows = [_ROW | {"instance_id": old, "state": leaving}, _ROW | {"instance_id": "i-5", "state": "pending"}]

    def status(_: LabNames) -> dict[str, Any]:
        return {"hosts": rows}

    monkeypatch.setattr("lab.control_client.status", status)
    session = LabHandle.of("unit")
    assert hosts.find(session, "web-1").instance_id == "i-5"
    assert hosts.find(session, old).instance_id == old, "by its id the leaving one is meant"
    with pytest.raises(UserError, match="host 'web-7': this lab has no such host"):
        hosts.find(session, "web-7")


def test_after_an_interruption_the_hosts_that_run_and_do_not_serve_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        _ROW | {"instance_id": "i-old"},
        _ROW | {"instance_id": "i-new", "state": "booting", "ready": False},
        _ROW | {"name": "web-2", "instance_id": "i-gone", "state": "shutting-down", "ready": False},
        _ROW | {"name": "web-2", "instance_id": "i-fails", "ready": False},
    ]
    monkeypatch.setattr("lab.control_client.status", lambda _: {"hosts": rows})  # pyright: ignore[reportUnknownLambdaType,reportUnknownArgumentType]
    session = LabHandle.of("unit")
    said = hosts.unready_summary(session)
    assert said.startswith("running but not serving yet: web-1 (i-new), web-2 (i-fails).")
    rows[:] = rows[:1]
    assert hosts.unready_summary(session) == ""

    def away(_: LabNames) -> dict[str, Any]:
        raise LabError("the daemon does not answer")

    monkeypatch.setattr("lab.control_client.status", away)
    assert hosts.unready_summary(session) == "", "the interruption is what is told"


def shown(*rows: dict[str, Any], width: int = 80) -> list[str]:
    output = io.StringIO()
    Terminal(file=output, width=width).print(hosts.table([hosts.Host.of(_ROW | row) for row in rows]))
    lines = output.getvalue().splitlines()
    assert [line for line in lines[2::2] if line != line.rstrip()] == [], "what a host says ends with no blanks"
    return [line.rstrip() for line in lines]


def test_the_table_shows_names_and_reasons_letter_by_letter() -> None:
    _, first, _, second, below = shown({"name": "web:key:"}, {"name": "[red]w[/red]", "ready": False, "reason": "a :key: of [bold]one"})
    assert first.split()[0] == "web:key:"
    assert first.split()[-1] == "yes"
    assert (second.split()[0], second.split()[-1]) == ("[red]w[/red]", "no")
    assert below.strip() == "i-1: a :key: of [bold]one"


_APPLIER = "the applier stopped: Coordinator stopped because there were error(s) in the worker(s). The most recent failure being: Worker 1"
_LAB: list[dict[str, Any]] = [
    {
        "name": "db-2",
        "zone": "ap-southeast-1b",
        "private_ip": "10.120.144.110",
        "instance_id": "i-e413a0123f2574629",
        "ready": False,
        "reason": f"failed: {_APPLIER}",
        "facts": {"role": "replica"},
        "age_seconds": 3,
    },
    {
        "name": "lb-1",
        "zone": "ap-southeast-1a",
        "private_ip": "10.120.100.110",
        "public_ip": "198.18.200.1",
        "message": "serves HTTPS from 2 web hosts",
        "facts": {"active": "true", "elastic_ip": "198.18.200.1", "servers_up": "10.20.64.4", "servers_down": "10.20.80.4: L7STS 400"},
        "age_seconds": 61,
    },
    {
        "name": "web-250",
        "zone": "ap-southeast-1a",
        "private_ip": "10.120.164.104",
        "message": "serves the app",
        "facts": {"release": "0a1b", "secrets": "app-writer=v1"},
    },
    {"name": "db-1", "message": "replica of db-2", "metrics": {"lag": "0.2 s"}, "state": "shutting-down"},
]


def test_eighty_columns_hold_every_row_and_lose_no_word() -> None:
    lines = shown(*_LAB)
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split() for line in lines if not line.startswith(" ")}
    assert rows["host"] == ["host", "zone", "private", "ip", "public", "ip", "state", "serves"]
    assert rows["lb-1"] == ["lb-1", "ap-southeast-1a", "10.120.100.110", "198.18.200.1", "running", "yes"]
    assert rows["db-2"][-1] == "no"
    said = " ".join(" ".join(lines).split())
    for words in (
        f"failed: {_APPLIER}; heard 3 s ago",
        "serves HTTPS from 2 web hosts; the site's address is here; servers down 10.20.80.4: L7STS 400; heard 61 s ago",
        "serves the app; release 0a1b",
        "replica of db-2; lag 0.2 s",
    ):
        assert words in said
    assert "v1" not in said, "an id of a version is for programs"


def test_the_words_for_programs_keep_their_names_and_gain_the_age_of_what_was_said() -> None:
    host = hosts.Host.of(_ROW | _LAB[1]).as_dict()
    assert set(_ROW) <= set(host)
    assert (host["age_seconds"], host["metrics"]) == (61, {})
    assert host["facts"] == _LAB[1]["facts"]


def test_nothing_that_a_terminal_or_a_ci_log_obeys_is_shown_whoever_said_it() -> None:
    evil = "\x1b]0;own\x07\x1b[31mRED\r\n::error::X"
    lines = shown({"name": "\x1bw", "message": evil, "facts": {evil: evil}, "metrics": {evil: evil}})
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["host", r"\x1bw"]
    for line in lines:
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
    host = hosts.Host.of(_ROW | {"problems": [evil]})
    said: dict[str, Any] = {"api_error": evil, "firewall_problems": [evil], "hosts": [_ROW | {"problems": [evil, f"{evil}2"]}]}
    told = [*host.problems, *hosts.find_problems(said)]
    assert len(told) == 4
    assert all(text.isprintable() and "::" not in text for text in told)


def test_a_host_that_says_much_fills_no_screen() -> None:
    text = "\n".join(shown({"facts": {f"fact{number}": "x " * 1900 for number in range(100)}}))
    assert len(text) < 3000
    assert text.endswith("…")
