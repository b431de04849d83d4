"""What HAProxy is asked, and what is kept of its answers."""

from pathlib import Path

import pytest
from load_balancer_role import haproxy
from webstack_host import files

from tests.unit.hosts.load_balancer.statistics import STAT


def test_servers_without_an_address_do_not_count() -> None:
    found = haproxy.servers(STAT, "web")
    assert [(server.name, server.address, server.up) for server in found] == [("web1", "10.20.64.5", True), ("web2", "10.20.80.4", False)]


def test_what_a_new_worker_must_know_of_the_servers_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[Path, str] = {}
    monkeypatch.setattr(files, "write", written.__setitem__)
    known = [
        "1",
        "# be_id be_name srv_id srv_name srv_addr srv_op_state",
        "4 web 1 web1 10.20.64.5 2 0",
        "4 web 2 web2 - 0 32",
        "4 web 3 web3 0.0.0.0 0 32",
    ]
    monkeypatch.setattr(haproxy, "query", {"show servers state": "\n".join([*known, "", ""])}.__getitem__)
    haproxy.save_server_state()
    assert written[haproxy.STATE_FILE].split("\n") == [*known[:3], "", ""]
    monkeypatch.setattr(haproxy, "SOCKET", tmp_path / "none")
    monkeypatch.undo()
    monkeypatch.setattr(files, "write", written.__setitem__)
    haproxy.save_server_state()  # HAProxy does not answer here: nothing to keep, and the reload goes on
    assert len(written) == 1
