"""Questions to EC2 that are asked side by side, by one client, and waited for together no longer than so long."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

T = TypeVar("T")


@dataclass(frozen=True)
class PendingQuery(Generic[T]):
    """One that has been begun."""

    name: str
    future: Future[T]


class Ec2Queries:
    """Each question is in a thread that is left to itself after `seconds`: no name server or proxy can be hurried."""

    def __init__(self, ec2: "Callable[[], EC2Client]", seconds: float) -> None:
        self._ec2 = ec2
        self._timeout = seconds
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._client: Future[EC2Client] | None = None
        self._skipped: dict[str, list[str]] = {}

    def submit(self, name: str, query: "Callable[[EC2Client], T]") -> "PendingQuery[T]":
        """Begins a question; `name` names it."""
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(query(self._shared_client()))
            except Exception as error:  # handed to whoever waits
                answer.set_exception(error)

        threading.Thread(target=run, name=f"offered: {name}", daemon=True).start()
        return PendingQuery(name, answer)

    def result(self, pending: "PendingQuery[T] | None") -> T | None:
        """What a question brought; None where nothing was asked or nobody answered, which is told at the end."""
        if pending is None:
            return None
        try:
            return pending.future.result(max(0.0, self._deadline - time.monotonic()))
        except TimeoutError:
            reason = f"no answer within {self._timeout:g} seconds"
        except (BotoCoreError, ClientError, OSError) as error:
            reason = _reason(error)
        self._skipped.setdefault(reason, []).append(pending.name)
        return None

    def log_skipped(self) -> None:
        """One line for all of it."""
        if self._skipped:
            reasons = "; ".join(f"{', '.join(what)}: {reason}" for reason, what in self._skipped.items())
            pulumi.log.info(f"not compared with what AWS says beforehand: {reasons}")

    def _shared_client(self) -> "EC2Client":
        with self._lock:  # a client takes longer to make than a question takes; one that cannot be made is not tried again
            if self._client is None:
                self._client = Future()
                try:
                    self._client.set_result(self._ec2())
                except Exception as error:  # each question's
                    self._client.set_exception(error)
        return self._client.result()


def _reason(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or error)
    return " ".join(str(error).split())
