"""What every host does without."""

import re

import pytest
from webstack_host import hardening

from userdata.render import ROOT

from .conftest import FakePrograms

LINE = re.compile(r"-?(kernel|net|fs|vm|dev)(\.[a-z0-9_]+)+ = \d")
"""sysctl.d(5): one assignment a line; a `-` before it where a failure is not to be one."""


def test_the_kernels_settings_hold_at_once_and_ssh_never_starts(programs: FakePrograms) -> None:
    programs.answers["systemctl stop ssh.service ssh.socket"] = (5, "Unit ssh.service not loaded.")
    hardening.apply()
    assert programs.calls == [
        ["/usr/lib/systemd/systemd-sysctl", "/etc/sysctl.d/90-webstack.conf"],
        ["systemctl", "mask", "--no-reload", "ssh.service", "ssh.socket"],
        ["systemctl", "stop", "ssh.service", "ssh.socket"],
    ]


def test_every_line_of_the_kernels_settings_is_one_that_systemd_reads() -> None:
    text = (ROOT / "common" / hardening.SETTINGS.removeprefix("/")).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    keys = [line.lstrip("-").partition(" = ")[0] for line in lines]
    assert len(keys) == len(set(keys)) > 20


@pytest.mark.parametrize("kind", ["all", "default"])
def test_a_host_learns_its_ways_from_nobody(kind: str) -> None:
    text = (ROOT / "common" / hardening.SETTINGS.removeprefix("/")).read_text()
    for name in ("accept_redirects", "secure_redirects", "send_redirects", "accept_source_route"):
        assert f"\nnet.ipv4.conf.{kind}.{name} = 0\n" in text
