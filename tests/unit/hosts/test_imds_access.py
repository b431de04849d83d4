"""Who may ask the metadata service."""

import pwd

import pytest
from webstack_host import imds_access

from .conftest import FakePrograms, returning

HELD = """0:\tfrom all lookup local
1690:\tfrom all to 169.254.169.254 lookup main uidrange 990-990
1691:\tfrom all to 169.254.169.254 uidrange 1-4294967294 prohibit
32766:\tfrom all lookup main
"""


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwnam", returning(pwd.struct_passwd(("webstack-agent", "x", 990, 990, "", "/", ""))))


@pytest.mark.usefixtures("agent")
def test_agents_are_let_through_before_all_others_are_refused(programs: FakePrograms) -> None:
    imds_access.restrict(["webstack-agent"])
    rule = ["ip", "-4", "rule", "add", "priority"]
    assert programs.calls == [
        ["ip", "-4", "rule", "show"],
        [*rule, "1690", "to", "169.254.169.254", "uidrange", "990-990", "lookup", "main"],
        [*rule, "1691", "to", "169.254.169.254", "uidrange", "1-4294967294", "prohibit"],
    ]


@pytest.mark.usefixtures("agent")
def test_what_holds_is_left_alone(programs: FakePrograms) -> None:
    programs.answers["ip -4 rule show"] = (0, HELD)
    imds_access.restrict(["webstack-agent"])
    assert programs.calls == [["ip", "-4", "rule", "show"]]
