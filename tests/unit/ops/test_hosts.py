"""What `webstack lab status` makes of the daemon's words."""

import io
from typing import Any

import pytest

from lab.names import LabNames
from lab.session import Session
from ops import hosts
from ops.failures import UserError
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
_FAULT = "rule sgr-1 of security group sg-1 (webs) permits nothing: 90 to 80 is no range of ports"


def test_a_rule_that_cannot_be_obeyed_is_told_with_the_hosts_concerned() -> None:
    said: dict[str, Any] = {
        "problem": None,
        "rule_problems": [_FAULT, "rule sgr-2 of security group sg-9 (unused) permits nothing: it names 0 peers, and a rule has one"],
        "hosts": [_ROW | {"name": "web-2", "problems": [_FAULT]}, _ROW | {"problems": [_FAULT]}, _ROW | {"name": "db-1", "problems": []}],
    }
    assert hosts.troubles(said) == [
        f"web-1, web-2: {_FAULT}",
        "no host: rule sgr-2 of security group sg-9 (unused) permits nothing: it names 0 peers, and a rule has one",
    ]
    assert [host.as_dict()["problems"] for host in hosts.rows_of(said)] == [(), (_FAULT,), (_FAULT,)]


def test_an_api_that_cannot_be_followed_is_told() -> None:
    assert hosts.troubles({"problem": "it does not answer", "rule_problems": [], "hosts": []}) == ["it does not answer"]


@pytest.mark.parametrize("leaving", ["shutting-down", "terminated", "stopping"])
@pytest.mark.parametrize("old", ["i-0", "i-9"])
def test_of_two_hosts_of_one_name_the_one_that_stays_is_meant(monkeypatch: pytest.MonkeyPatch, leaving: str, old: str) -> None:
    rows = [_ROW | {"instance_id": old, "state": leaving}, _ROW | {"instance_id": "i-5", "state": "pending"}]

    def status(_: LabNames) -> dict[str, Any]:
        return {"hosts": rows}

    monkeypatch.setattr("lab.control.status", status)
    session = Session.of("unit")
    assert hosts.find(session, "web-1").instance_id == "i-5"
    assert hosts.find(session, old).instance_id == old, "by its id the leaving one is meant"
    with pytest.raises(UserError, match="host 'web-7': this lab has no such host"):
        hosts.find(session, "web-7")


def test_the_table_shows_names_and_reasons_letter_by_letter() -> None:
    output = io.StringIO()
    said: list[dict[str, Any]] = [
        _ROW | {"name": "web:key:"},
        _ROW | {"name": "[red]w[/red]", "ready": False, "reason": "a :key: of [bold]one"},
    ]
    Terminal(file=output, width=200).print(hosts.table([hosts.Host.of(row) for row in said]))
    first, second = output.getvalue().splitlines()[1:]
    assert first.split()[0] == "web:key:"
    assert first.split()[-1] == "yes"
    assert second.split()[0] == "[red]w[/red]"
    assert second.rstrip().endswith("no a :key: of [bold]one")
