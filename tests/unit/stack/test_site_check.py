"""Whether a site answers its visitors: how often it is asked, and what is said of one that does not serve."""

import socket
from typing import Any

import pytest

from stack import site_check
from stack.environment import Environment
from stack.settings import parse
from stack.site_check import REQUIRED_PROBES, REQUIRED_SLOW_PROBES, SITE_SKIPPED, SITE_UNREACHABLE, SITE_UP, TIMEOUT, SiteError
from stack.site_probe import SiteEndpoint
from tests.unit.stack.fake_clock import FakeClock
from tests.unit.stack.fake_site import NAME, FakeSite, endpoint, run_check


def test_a_site_that_answers_is_asked_by_its_name_and_that_is_told(fake_site: FakeSite) -> None:
    log = run_check(endpoint(fake_site, name=NAME), found=["127.0.0.1"]).log
    assert log == [f"{SITE_UP}https://{NAME}/ (127.0.0.1)"]
    assert fake_site.asked == [("/healthz", NAME), ("/", NAME)] * REQUIRED_PROBES
    assert set(fake_site.names) == {NAME}


def test_a_site_that_comes_late_is_waited_for(fake_site: FakeSite) -> None:
    fake_site.well_after, time = 4, FakeClock()
    assert run_check(endpoint(fake_site), time=time).log == [
        "https://127.0.0.1/: GET /healthz is answered with 503",
        f"{SITE_UP}https://127.0.0.1/",
    ]
    assert time.seconds == 4


@pytest.mark.parametrize(
    ("path", "page", "told"),
    [
        ("/healthz", (400, "", "Bad Request\n"), ["GET /healthz is answered with 400", "    Bad Request"]),
        ("/healthz", (301, "https://elsewhere/", ""), ["GET /healthz is answered with 301", "    Location: https://elsewhere/"]),
        ("/healthz", (503, "", "a\n\n b\nc\nd\ne\nf\n"), ["GET /healthz is answered with 503", *(f"    {word}" for word in "abcde")]),
        ("/", (500, "", "Server Error (500)"), ["GET / is answered with 500", "    Server Error (500)"]),
        ("/", (503, "", ""), ["GET / is answered with 503"]),
    ],
)
def test_a_site_that_answers_with_an_error_ends_the_up_with_its_words(
    fake_site: FakeSite, path: str, page: tuple[int, str, str], told: list[str]
) -> None:
    fake_site.pages[path] = page
    time = FakeClock()
    with pytest.raises(SiteError) as failed:
        run_check(endpoint(fake_site, restricted=True), time=time)
    assert time.seconds == TIMEOUT
    lines = str(failed.value).splitlines()
    first, *more = told
    assert lines[0] == f"https://127.0.0.1/ does not serve after 30 s: {first}"
    assert lines[1:-2] == more
    assert "readiness.site" in lines[-1]


def test_a_site_of_which_a_part_answers_with_errors_does_not_serve(fake_site: FakeSite) -> None:
    fake_site.every_other = (500, "", "Server Error")
    with pytest.raises(SiteError, match=r"GET / is answered with 500 \(\d+ of \d+ visits found all well\)"):
        run_check(endpoint(fake_site))


def test_pages_that_take_their_time_are_asked_for_fewer_times(fake_site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    time, look = FakeClock(), site_check.probe_site

    def slow(place: SiteEndpoint) -> None:
        look(place)
        time.seconds += 6

    monkeypatch.setattr(site_check, "probe_site", slow)
    assert run_check(endpoint(fake_site), time=time).log == [f"{SITE_UP}https://127.0.0.1/"]
    assert len(fake_site.asked) == 2 * REQUIRED_SLOW_PROBES


@pytest.fixture
def unreachable_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets to the site vanish, as security groups let them."""

    def never(*_: object, **__: object) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", never)


@pytest.mark.usefixtures("unreachable_site")
def test_a_site_that_is_open_to_everybody_and_that_nobody_answers_at_is_away() -> None:
    with pytest.raises(SiteError, match=r"nobody answers at 198\.51\.100\.7, port 443, within 5 s"):
        run_check(SiteEndpoint(address="198.51.100.7", name="198.51.100.7"))


@pytest.mark.usefixtures("unreachable_site")
def test_a_site_that_does_not_let_this_machine_in_is_only_warned_of() -> None:
    log = run_check(SiteEndpoint(address="198.51.100.7", name="198.51.100.7", restricted=True)).log
    assert log[-1].startswith(f"{SITE_UNREACHABLE}nobody answers at 198.51.100.7")
    assert "loadBalancer.allowedCidrs" in log[-1]


@pytest.mark.parametrize(
    ("found", "how"), [(["203.0.113.9"], "leads to 203.0.113.9"), ([], "is not known to DNS"), (None, "could not be looked up")]
)
def test_a_name_that_does_not_lead_to_the_site_is_told_with_the_record_to_make(
    fake_site: FakeSite, found: list[str] | None, how: str
) -> None:
    log = run_check(endpoint(fake_site, name=NAME), found=found).log
    assert log == [
        f"{NAME} {how}, and the site is at 127.0.0.1: create an A record {NAME} → 127.0.0.1",
        f"{SITE_UP}https://{NAME}/ (127.0.0.1)",
    ]


def test_a_certificate_of_ones_own_that_proves_nothing_here_is_only_warned_of(fake_site: FakeSite) -> None:
    log = run_check(endpoint(fake_site, name=NAME, verified=True), found=["127.0.0.1"]).log
    assert log[0].startswith(f"https://{NAME}/ (127.0.0.1): its certificate does not prove that name to this machine: ")
    assert log[1:] == [f"{SITE_UP}https://{NAME}/ (127.0.0.1)"]


def test_what_is_not_asked_is_said_and_a_preview_says_nothing() -> None:
    place = SiteEndpoint(address="198.51.100.7", name="198.51.100.7")
    assert run_check(place, skip_reason="readiness.site is false").log == [f"{SITE_SKIPPED}readiness.site is false"]
    assert run_check(place, enabled=False).log == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, SiteEndpoint(address="198.51.100.7", name="198.51.100.7")),
        ({"loadBalancer": {"domain": NAME}}, SiteEndpoint(address="198.51.100.7", name=NAME)),
        (
            {"loadBalancer": {"domain": NAME, "tls": {"mode": "secret", "secret": "site"}, "allowedCidrs": ["192.0.2.0/24"]}},
            SiteEndpoint(address="198.51.100.7", name=NAME, trusted_certificate=True, restricted=True),
        ),
    ],
)
def test_where_the_site_is_follows_from_the_settings(raw: dict[str, Any], expected: SiteEndpoint) -> None:
    environment = Environment(name="dev", region="eu-central-1", zones=("a", "b"), settings=parse(raw))
    assert site_check.site_endpoint(environment, "198.51.100.7") == expected


@pytest.mark.parametrize(
    ("readiness", "why"),
    [({}, ""), ({"wait": False}, "readiness.wait is false"), ({"site": False}, "readiness.site is false")],
)
def test_whether_the_site_is_asked_follows_from_the_settings(readiness: dict[str, Any], why: str) -> None:
    environment = Environment(name="dev", region="eu-central-1", zones=("a", "b"), settings=parse({"readiness": readiness}))
    assert site_check.for_environment(environment, enabled=True).skip_reason.startswith(why)
    assert bool(site_check.for_environment(environment, enabled=True).skip_reason) == bool(why)


def test_what_a_site_says_reaches_no_terminal_raw(fake_site: FakeSite) -> None:
    fake_site.pages["/healthz"] = (503, "https://x/\x1b[2J", "\x1b]0;own\x07::error::y\r\n::warning::z")
    with pytest.raises(SiteError) as failed:
        run_check(endpoint(fake_site))
    lines = str(failed.value).splitlines()
    assert all(line.isprintable() and "::" not in line for line in lines)
    assert r"    \x1b]0;own\x07: :error: :y" in lines
