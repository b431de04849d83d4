"""One visitor, and a few of one mind, cannot take the site away from the others: each attack beside people who look at pages."""

import csv
import io
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from stack.sections import LimitsSettings
from tests.lab import attacks
from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.shop import any_product, sign_up
from tests.lab.visitors import background_browsing as others

LIMITS = LimitsSettings()
STATIC = "/static/shop.css"


@pytest.fixture
def sources() -> Iterator[list[str]]:
    """Addresses that have done nothing yet."""
    with attacks.addresses(4) as found:
        yield found


@pytest.fixture
def site(lab: LabUnderTest) -> str:
    return str(urlsplit(lab.url).hostname)


def stat(lab: LabUnderTest, frontend: str, field: str) -> int:
    """A number that HAProxy counts for a frontend (https://docs.haproxy.org/3.0/management.html#9.1)."""
    text = lab.run_on("lb-1", "python3", "-c", _ASK, "show stat").removeprefix("# ")
    [row] = [row for row in csv.DictReader(io.StringIO(text)) if (row["pxname"], row["svname"]) == (frontend, "FRONTEND")]
    return int(row[field])


_ASK = """
import sys
sys.path.insert(0, "/usr/local/lib/webstack")
from load_balancer_role.haproxy import query
print(query(sys.argv[1]))
"""


@pytest.mark.parametrize(("port", "frontend"), [(80, "http"), (443, "https")])
def test_eight_thousand_silent_connections_take_no_place_of_others(
    lab: LabUnderTest, sources: list[str], site: str, port: int, frontend: str
) -> None:
    each = 2050
    before = stat(lab, frontend, "dcon")
    with others(lab), attacks.file_limit(20_000), attacks.silent_connections(site, port, sources, each):
        refused = stat(lab, frontend, "dcon") - before
        assert refused >= len(sources) * (each - LIMITS.connections - 1)


@pytest.mark.parametrize("path", ["/%61pi/session", "/api/session/", "/api/session?x=1", "//api/session"])
def test_a_login_is_known_however_its_path_is_written(lab: LabUnderTest, sources: list[str], site: str, path: str) -> None:
    last = attacks.log_ins(site, sources[0], [path] * (LIMITS.credential_rate + 2))[-1]
    assert last == (429, "60")
    with httpx.Client(base_url=lab.url, transport=httpx.HTTPTransport(local_address=sources[0], verify=False)) as client:
        assert client.get("/login").status_code == 200, "a page that asks for a password is one like all others"


@pytest.mark.parametrize(
    "begins",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: shop\r\nX-Slow: ", id="headers"),
        pytest.param(b"POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 9000000\r\n\r\nx", id="bodies"),
        pytest.param(b"GET /static/shop.css HTTP/1.1\r\nHost: shop\r\n\r\n" * 200, id="readers"),
    ],
)
def test_the_slow_take_nobodys_time(lab: LabUnderTest, sources: list[str], site: str, begins: bytes) -> None:
    with others(lab), attacks.stalled_connections(site, sources, 25, head=begins) as opened:
        pass
    assert len(opened) == len(sources) * 25


def test_a_slow_header_is_ended_and_told_so(site: str, sources: list[str]) -> None:
    with attacks.stalled_connections(site, sources[:1], 3, head=b"GET / HTTP/1.1\r\nHost: shop\r\nX-Slow: ") as opened:
        wait_until(lambda: all(attacks.are_closed(opened)), seconds=30, what="the load balancer ends them")


def test_a_flood_of_streams_is_counted_as_requests(lab: LabUnderTest, sources: list[str], site: str) -> None:
    with others(lab):
        found = attacks.streams(site, sources[0], STATIC, LIMITS.request_rate + 300, reset=False)
    assert found["429"], found
    assert found["200"] <= 2 * LIMITS.request_rate, found


def test_a_flood_of_streams_that_are_taken_back_at_once_is_nothing_to_others(lab: LabUnderTest, sources: list[str], site: str) -> None:
    with others(lab):
        for source in sources:
            attacks.streams(site, source, "/", 1000, reset=True)


def under_way(lab: LabUnderTest, source: str) -> int:
    """Requests of an address that HAProxy knows to be under way."""
    row = lab.run_on("lb-1", "python3", "-c", _ASK, f"show table requests key {source}").strip().rpartition("conn_cur=")[2]
    return int(row.split()[0]) if row else 0


def test_bodies_that_never_end_take_an_address_its_share_and_no_more(lab: LabUnderTest, sources: list[str], site: str) -> None:
    with others(lab), attacks.unfinished_requests(site, sources[0], "/orders", LIMITS.request_concurrency + 100) as answers:
        wait_until(lambda: answers()["429"] == 100, seconds=30, what="what is beyond the limit is told so")
        assert under_way(lab, sources[0]) == LIMITS.request_concurrency
        assert set(answers()) <= {"429", "refused"}, "a stream that is answered early is reset afterwards (RFC 9113, section 8.1)"


@pytest.mark.parametrize("answered", [False, True], ids=["bodies-without-an-end", "answers-that-nobody-takes"])
def test_who_keeps_requests_at_the_login_keeps_nobody_from_it(lab: LabUnderTest, sources: list[str], site: str, answered: bool) -> None:
    kept = LIMITS.total_credential_rate
    with attacks.unfinished_requests(site, sources[0], "/api/session", 4 * kept, answered=answered):
        wait_until(lambda: under_way(lab, sources[0]) >= kept, seconds=30, what="they are under way")
        wait_until(
            lambda: attacks.log_ins(site, sources[1], ["/api/session"], email="nobody@example.com") == [(401, None)],
            seconds=20,
            what="another address logs in",
            every=1,
        )
        assert under_way(lab, sources[0]) >= kept, "they still are"


def test_answers_that_nobody_takes_do_not_pile_up(lab: LabUnderTest, sources: list[str], site: str) -> None:
    limit = LIMITS.request_concurrency
    with attacks.unfinished_requests(site, sources[0], "/", limit + 500, answered=True) as answers:
        wait_until(lambda: answers()["429"] >= 500, seconds=30, what="what is beyond the limit is told so")
        assert under_way(lab, sources[0]) <= limit


def test_headers_beyond_all_measure_are_refused(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        assert browser.get("/", headers={"X-Large": "x" * 40_000}).status_code == 400
        assert browser.get("/", headers={"Cookie": "x=" + "y" * 7_000}).status_code == 200


def worker(lab: LabUnderTest) -> str:
    """HAProxy's process that serves."""
    return lab.run_on("lb-1", "python3", "-c", _ASK, "show info").partition("\nPid: ")[2].partition("\n")[0]


def test_a_connection_that_changes_its_keys_without_an_end_ends_no_worker(lab: LabUnderTest, sources: list[str], site: str) -> None:
    before = worker(lab)
    with others(lab):
        sent = attacks.key_updates(site, sources[0], 400_000, seconds=15)
    assert sent > 1_000_000, "the flood was one"
    assert worker(lab) == before


def test_an_upload_of_the_largest_body_comes_through(lab: LabUnderTest) -> None:
    with lab.http_client() as browser:
        token, product = sign_up(browser), any_product(browser)
        order = {"id": "large", "product": product, "quantity": 1, "note": "x" * 10_000_000}
        answer = browser.post("/api/orders", json=order, headers={"Authorization": f"Bearer {token}"}, timeout=120)
    assert answer.status_code < 500, answer.text
