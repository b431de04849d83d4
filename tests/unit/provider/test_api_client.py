"""A throttled call has not happened, and is repeated; any other refusal is not."""

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.provider.api_client import ApiClient, ApiError, ClientCache, Credentials


class Api:
    """Answers each call with the next of its codes; a code that is empty is success."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.calls = 0

    def _answer(self, operation: str) -> dict[str, Any]:
        self.calls += 1
        code = self.codes.pop(0) if self.codes else ""
        if code:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)
        return {"done": True}

    def create_vpc(self, **_parameters: Any) -> dict[str, Any]:
        return self._answer("CreateVpc")

    def head_object(self, **_parameters: Any) -> dict[str, Any]:
        return self._answer("HeadObject")


class OnlyOne(ClientCache):
    """Every service's client is the same."""

    def __init__(self, api: Api) -> None:
        super().__init__(None)
        self._api = api

    def get(self, service: str, region: str, credentials: Credentials) -> Any:
        return self._api


class Impatient(threading.Event):
    """Waits for no time."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def cloud(api: Api) -> ApiClient:
    return ApiClient(clients=OnlyOne(api), region="eu-central-1", cancelled=Impatient())


@pytest.mark.parametrize("code", ["RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException"])
def test_a_throttled_call_is_repeated(code: str) -> None:
    api = Api(code, code)
    assert cloud(api).call("ec2.create_vpc") == {"done": True}
    assert api.calls == 3


def test_an_api_that_throttles_for_ever_is_given_up() -> None:
    api = Api(*["RequestLimitExceeded"] * 100)
    with pytest.raises(ApiError, match="CreateVpc, api error RequestLimitExceeded"):
        cloud(api).call("ec2.create_vpc")
    assert api.calls == 25


def test_a_cancelled_run_does_not_wait_for_its_turn() -> None:
    api = Api(*["RequestLimitExceeded"] * 100)
    cancelled = cloud(api)
    cancelled.cancelled.set()
    with pytest.raises(ApiError):
        cancelled.call("ec2.create_vpc")
    assert api.calls == 1


@pytest.mark.parametrize("code", ["InternalError", "503", "VpcLimitExceeded"])
def test_what_may_have_happened_or_will_not_help_is_not_repeated(code: str) -> None:
    api = Api(code)
    with pytest.raises(ApiError, match=code):
        cloud(api).call("ec2.create_vpc")
    assert api.calls == 1


def test_a_throttled_head_has_but_its_status_and_is_repeated() -> None:
    api = Api("503")
    assert cloud(api).call("s3.head_object") == {"done": True}
