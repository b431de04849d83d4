"""AWS API client of all resource handlers.

Every call goes through `ApiClient.call`: one at a time in this process (moto is not thread-safe), without botocore's retries (a create that
failed may have taken effect), and failing with the API's own code and message. Throttled calls have no effect and are repeated as often as
by AWS's provider by default (`max_retries`, 25).
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

DEFAULT_DEBIAN_AMI: Final = "ami-0deb1a0000000013f"
POLL_SECONDS: Final = 0.1
DEADLINE_SECONDS: Final = 300.0
THROTTLING_CODES: Final = ("RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException")
_MAX_ATTEMPTS: Final = 25
_INITIAL_BACKOFF: Final = 0.1
_MAX_BACKOFF: Final = 5.0
_NOT_FOUND_CODES: Final = ("NotFound", "NoSuchEntity", "NoSuchBucket", "NoSuchKey", "NoSuchHostedZone", "404", "NotFoundException")
_NOT_FOUND_SUFFIXES: Final = (".NotFound", "NotFound", "NotFoundException", "NotFoundError")


class ApiError(Exception):
    """The API refused a call, or this provider did where the emulator would have accepted it."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        """operation: `service.method` as given to `ApiClient.call`."""
        service, _, method = operation.partition(".")
        shown = "".join(part.capitalize() for part in method.split("_"))
        super().__init__(f"operation error {service}: {shown}, api error {code}: {message}")
        self.code = code
        self.message = message
        self._is_head = method.startswith("head_")

    @property
    def is_throttling(self) -> bool:
        """Whether the call was throttled and had no effect. The response to a HEAD has no code but its status."""
        return self.code in THROTTLING_CODES or (self._is_head and self.code == "503")

    @property
    def is_not_found(self) -> bool:
        """Whether the resource does not, or no longer, exist."""
        return (
            self.code in _NOT_FOUND_CODES
            or self.code.endswith(_NOT_FOUND_SUFFIXES)
            or self.code.startswith(("NoSuch", "InvalidAssociationID."))
        )


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The keys that sign the calls."""

    access_key: str = "lab"
    secret_key: str = field(default="lab", repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls) -> Credentials:
        """Returns the keys to use if the configuration has none, as AWS's provider does; dummies if the environment has none either."""
        given = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
        return cls(access_key=given[0], secret_key=given[1], token=os.environ.get("AWS_SESSION_TOKEN")) if given[0] and given[1] else cls()


class ClientCache:
    """boto3 clients, one for each service, region and key. `endpoint` None: botocore's default (in-process emulation)."""

    def __init__(self, endpoint: str | None) -> None:
        """endpoint: URL of the lab's API."""
        self._endpoint = endpoint
        self._cache: dict[tuple[str, str, Credentials], Any] = {}
        self.lock = threading.RLock()

    def get(self, service: str, region: str, credentials: Credentials) -> Any:
        """Returns the client, which is made at first use."""
        key = (service, region, credentials)
        with self.lock:
            if key not in self._cache:
                maker = cast("Callable[..., Any]", boto3.session.Session().client)
                self._cache[key] = maker(
                    service,
                    region_name=region,
                    endpoint_url=self._endpoint,
                    aws_access_key_id=credentials.access_key,
                    aws_secret_access_key=credentials.secret_key,
                    aws_session_token=credentials.token,
                    config=Config(
                        retries={"total_max_attempts": 1},
                        connect_timeout=5,
                        read_timeout=120,
                        s3={"addressing_style": "path"},
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._cache[key]


@dataclass(frozen=True, kw_only=True)
class ApiClient:
    """The AWS API for one provider instance: with its region, keys and default tags."""

    clients: ClientCache
    region: str
    credentials: Credentials = field(default_factory=Credentials)
    default_tags: Mapping[str, str] = field(default_factory=dict[str, str])
    cancelled: threading.Event = field(default_factory=threading.Event)
    debian_ami: str = DEFAULT_DEBIAN_AMI
    """The image in Debian's public SSM parameter; it counts as existing although the API does not list it."""
    poll_seconds: float = POLL_SECONDS
    deadline_seconds: float = DEADLINE_SECONDS

    def in_region(self, region: str | None) -> ApiClient:
        """Returns the client for another region."""
        if region in (None, self.region):
            return self
        return replace(self, region=str(region))

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Makes one call, `service.method` in boto3's names, without parameters that are None. Raises ApiError.

        A throttled call is retried with growing random delays, until it succeeds, the retries are used up, or the run is cancelled.
        """
        pause = _INITIAL_BACKOFF
        for _attempt in range(_MAX_ATTEMPTS - 1):
            try:
                return self._call_once(operation, parameters)
            except ApiError as refusal:
                if not refusal.is_throttling or self.cancelled.wait(random.uniform(pause / 2, pause)):  # noqa: S311 - no secret
                    raise
            pause = min(_MAX_BACKOFF, pause * 2)
        return self._call_once(operation, parameters)

    def _call_once(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        service, _, method = operation.partition(".")
        given = {name: value for name, value in parameters.items() if value is not None}
        with self.clients.lock:
            client = self.clients.get(service, self.region, self.credentials)
            try:
                return getattr(client, method)(**given)
            except ClientError as error:
                detail = cast("dict[str, Any]", error.response).get("Error", {})
                raise ApiError(operation, str(detail.get("Code", "Unknown")), str(detail.get("Message", error))) from error
            except ResponseParserError as error:
                raise ApiError(operation, "InternalError", "the API failed on this request without an AWS error") from error
            except BotoCoreError as error:
                raise ApiError(operation, type(error).__name__, str(error)) from error

    def find(self, operation: str, /, **parameters: Any) -> dict[str, Any] | None:
        """Like `call`, but returns None if the resource does not exist."""
        try:
            return self.call(operation, **parameters)
        except ApiError as refusal:
            if refusal.is_not_found:
                return None
            raise

    def first(self, operation: str, key: str, /, **parameters: Any) -> dict[str, Any] | None:
        """Makes the call and returns the first item of a list in the response, or None."""
        answer = self.find(operation, **parameters)
        items = cast("list[dict[str, Any]]", answer.get(key) or []) if answer else []
        return items[0] if items else None

    def list_all(self, operation: str, key: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Makes the call and returns all items of a list from all pages (`NextToken`)."""
        found: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            answer = self.call(operation, **parameters, **({"NextToken": token} if token else {}))
            found.extend(cast("list[dict[str, Any]]", answer.get(key) or []))
            token = answer.get("NextToken")
            if not token:
                return found

    def wait(self, label: str, get_state: Callable[[], str | None], target: str | None, *, failure_states: tuple[str, ...] = ()) -> None:
        """Polls `get_state` until it is `target`. Raises ApiError at the deadline, for a failure state, and if the run is cancelled."""
        deadline = time.monotonic() + self.deadline_seconds
        while (current := get_state()) != target:
            if current in failure_states:
                raise ApiError("ec2.wait", "UnexpectedState", f"{label} is {current}; wanted {target}")
            if time.monotonic() > deadline:
                raise ApiError("ec2.wait", "Timeout", f"{label} is still {current} after {self.deadline_seconds:.0f} s; wanted {target}")
            if self.cancelled.wait(self.poll_seconds):
                raise ApiError("ec2.wait", "Canceled", f"{label} is {current}; the run was cancelled while waiting for {target}")

    def retry(self, call: Callable[[], dict[str, Any]], *, is_retryable: Callable[[ApiError], bool], seconds: float) -> dict[str, Any]:
        """Retries a call while it is refused in this way, for at most `seconds` and the provider's own deadline. Raises ApiError."""
        deadline = time.monotonic() + min(seconds, self.deadline_seconds)
        pause = self.poll_seconds
        while True:
            try:
                return call()
            except ApiError as refusal:
                if not is_retryable(refusal) or time.monotonic() > deadline or self.cancelled.wait(pause):
                    raise
            pause = min(_MAX_BACKOFF, pause * 2)

    def api_error(self, operation: str, code: str, message: str) -> ApiError:
        """Returns the error that AWS would give where the emulator gives none, for the caller to raise."""
        return ApiError(operation, code, message)

    def account(self) -> str:
        """Returns the caller's account id."""
        return str(self.call("sts.get_caller_identity")["Account"])

    def arn(self, service: str, resource: str) -> str:
        """Returns an ARN in this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account()}:{resource}"


def filters(**wanted: str | list[str]) -> list[dict[str, Any]]:
    """Returns EC2 filters; in names, an underscore stands for a hyphen and two for a dot."""
    return [
        {"Name": name.replace("__", ".").replace("_", "-"), "Values": [value] if isinstance(value, str) else value}
        for name, value in wanted.items()
    ]
