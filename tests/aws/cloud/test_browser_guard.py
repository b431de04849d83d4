"""Pages in a browser: neither the door nor the moto server answers them, and nothing that either says is for a page to read."""

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from lab.cloud.api_gateway import ApiGateway, loopback_listener
from tests.aws.cloud.support import LoopThread, client

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-amz-target"}


@pytest.fixture(params=["bare", "door"])
def url(request: pytest.FixtureRequest, api: str, loop: LoopThread) -> str:
    if request.param == "bare":
        return api
    front, listening = ApiGateway(api), loopback_listener(0)
    loop.run(front.start())
    loop.add_cleanup(front.stop)
    loop.run(front.add_listener(listening))
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def ask(url: str, method: str, headers: Mapping[str, str]) -> tuple[int, list[str]]:
    """The status, and the headers that would let a page read the answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request(method, "/", headers=dict(headers))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, [name for name, _ in answer.getheaders() if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Origin": "https://evil.example"}),
        ("POST", {"origin": "null", "X-Amz-Target": "secretsmanager.ListSecrets"}),
        ("OPTIONS", {"Origin": "https://evil.example", **PREFLIGHT}),
        ("OPTIONS", PREFLIGHT),
    ],
)
def test_what_a_page_sends_is_refused(url: str, method: str, headers: dict[str, str]) -> None:
    assert ask(url, method, headers) == (403, [])


def test_no_answer_says_that_a_page_may_read_it(url: str) -> None:
    assert ask(url, "GET", {}) == (200, [])
    assert ask(url, "OPTIONS", {})[1] == []


def test_programs_are_answered(url: str) -> None:
    assert client("ec2", url).describe_key_pairs()["KeyPairs"] == []
