"""`webstack lab status` asks the site as a visitor does, once, and never waits long."""

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.lab_handle import LabHandle
from ops import cli, hosts, site_check
from ops.site_check import SiteStatus
from ops.terminal import Terminal
from stack.site_probe import ProbeError, SiteEndpoint

ADDRESS = "127.0.0.1"
ROW = {"name": "lb-1", "role": "load_balancer", "public_ip": "198.18.0.1", "instance_id": "i-1", "state": "running", "ready": True}


@pytest.fixture
def listening() -> Iterator[SiteEndpoint]:
    with socket.create_server((ADDRESS, 0)) as server:
        yield SiteEndpoint(address=ADDRESS, name="shop.example", port=server.getsockname()[1])


def visits(monkeypatch: pytest.MonkeyPatch, visit: Callable[[SiteEndpoint], None]) -> None:
    monkeypatch.setattr(site_check, "probe_site", visit)
    monkeypatch.setattr(site_check, "require_unexpired_certificate", lambda _: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def test_a_site_that_answers_is_asked_once(listening: SiteEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SiteEndpoint] = []
    visits(monkeypatch, asked.append)
    seen = site_check.check_site(listening)
    assert asked == [listening]
    assert seen.line == f"site   https://shop.example/ ({ADDRESS})   answers"
    assert seen.as_dict() == {"url": f"https://shop.example/ ({ADDRESS})", "answers": True, "message": "answers"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ProbeError("GET /healthz is answered with 503"), "GET /healthz is answered with 503"),
        (ProbeError("\x1b[2J"), r"\x1b[2J"),
        (UnicodeError("label too long\r\n::error::x"), "UnicodeError: label too long  : :error: :x"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
    ],
)
def test_why_it_does_not_answer_is_told_printable(
    listening: SiteEndpoint, error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: SiteEndpoint) -> None:
        raise error

    visits(monkeypatch, fails)
    seen = site_check.check_site(listening)
    assert seen.error.endswith(told)
    assert seen.as_dict()["answers"] is False
    assert "does not answer: " in seen.line


def test_a_certificate_that_has_ended_is_no_answer(listening: SiteEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(_: SiteEndpoint) -> None:
        raise ProbeError("its certificate has ended")

    visits(monkeypatch, lambda _: None)
    monkeypatch.setattr(site_check, "require_unexpired_certificate", ended)
    assert site_check.check_site(listening).error == "its certificate has ended"


def test_a_site_that_goes_on_and_on_is_not_waited_for(listening: SiteEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def goes_on(_: SiteEndpoint) -> None:
        ended.wait(30)

    assert site_check.TIMEOUT <= 5
    monkeypatch.setattr(site_check, "TIMEOUT", 0.05)
    visits(monkeypatch, goes_on)
    assert "no whole answer within" in site_check.check_site(listening).error
    ended.set()


def test_packets_that_vanish_are_nobodys_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    place = SiteEndpoint(address="198.51.100.7", name="198.51.100.7")

    def never(address: tuple[str, int], timeout: float) -> socket.socket:
        if address[0] == place.address:  # the look of the test before may go on in its thread
            waited.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", never)
    assert site_check.check_site(place).line == "site   https://198.51.100.7/   does not answer: nobody answers at 198.51.100.7 port 443"
    assert waited == [site_check.CONNECT_TIMEOUT]
    assert site_check.CONNECT_TIMEOUT < site_check.TIMEOUT


def test_who_refuses_is_told(listening: SiteEndpoint) -> None:
    with socket.create_server((ADDRESS, 0)) as closed:
        port = closed.getsockname()[1]
    assert (
        site_check.check_site(SiteEndpoint(address=ADDRESS, name=ADDRESS, port=port)).error == f"{ADDRESS} port {port}: Connection refused"
    )


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LabHandle:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    return LabHandle.of("unit")


def stored(session: LabHandle, outputs: object, *, stack: str = "dev") -> None:
    """The engine's file with these outputs, as Pulumi writes it."""
    session.record_stack(stack=stack, provider="lab")
    file = session.engine_home / "backend" / ".pulumi" / "stacks" / "webstack" / f"{stack}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    resources = [{"type": "pulumi:providers:aws", "outputs": {"url": "https://no/"}}, {"type": "pulumi:pulumi:Stack", "outputs": outputs}]
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": resources}}}))


def test_where_the_site_is_the_stack_says_or_else_a_load_balancers_address(session: LabHandle) -> None:
    there = [hosts.Host.of(ROW)]
    fallback = SiteEndpoint(address="198.18.0.1", name="198.18.0.1")
    assert site_check.find_site(session, []) is None
    assert site_check.find_site(session, there) == fallback
    stored(session, {"url": "https://shop.example/", "public_address": "198.18.0.9"})
    assert site_check.find_site(session, there) == SiteEndpoint(address="198.18.0.9", name="shop.example")
    broken_ones: list[object] = [{}, [], None, {"url": 1, "public_address": "198.18.0.9"}, {"url": "", "public_address": "198.18.0.9"}]
    for broken in broken_ones:
        stored(session, broken)
        assert site_check.find_site(session, there) == fallback
    for text in ("", "[" * 200_000, "[]", '{"checkpoint": {"latest": {"resources": [1]}}}'):
        (session.engine_home / "backend/.pulumi/stacks/webstack/dev.json").write_text(text)
        assert site_check.find_site(session, there) == fallback


@pytest.mark.parametrize(
    "seen", [SiteStatus(url="https://198.18.0.1/"), SiteStatus(url="https://198.18.0.1/", error="GET / is answered with 503")]
)
def test_status_tells_it_under_the_table_and_to_programs_and_ends_well(
    seen: SiteStatus, session: LabHandle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def status(_: object) -> dict[str, Any]:
        return {"api_error": "the API is away", "firewall_problems": [], "faults": [], "hosts": [ROW]}

    asked: list[SiteEndpoint] = []

    def look(place: SiteEndpoint) -> SiteStatus:
        asked.append(place)
        return seen

    monkeypatch.setattr("lab.control_client.status", status)
    monkeypatch.setattr(site_check, "check_site", look)
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["lab", "status", "--lab", "unit", *more])
        assert ended.value.code == 0
        told = capsys.readouterr()
        if more:
            answer = json.loads(told.out)
            assert (answer["ok"], answer["site"], answer["problems"]) == (True, seen.as_dict(), ["the API is away"])
            assert [host["name"] for host in answer["hosts"]] == ["lb-1"]
        else:
            assert told.out.splitlines()[-1] == seen.line
        assert "the API is away" in told.err
    assert [place.address for place in asked] == ["198.18.0.1"] * 2, "once each"


def test_a_lab_without_an_address_has_no_site(
    session: LabHandle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lab.control_client.status", lambda _: {"api_error": "", "firewall_problems": [], "faults": [], "hosts": []})  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pytest.raises(SystemExit):
        cli.main(["lab", "status", "--lab", "unit", "--json"])
    assert json.loads(capsys.readouterr().out)["site"] is None


def test_eighty_columns_hold_the_line() -> None:
    reason = "GET /healthz by https ends with SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"
    output = io.StringIO()
    line = SiteStatus(url="https://a-shop-with-a-long-name.example/ (198.18.200.1)", error=reason).line
    Terminal(file=output, width=80).print(hosts.indented(line, indent=7))
    first, *more = output.getvalue().splitlines()
    assert first.startswith("site   https://a-shop")
    assert more
    assert all(one.startswith(" " * 7) for one in more)
    assert max(map(len, [first, *more])) <= 80
    assert reason in " ".join(output.getvalue().split())
