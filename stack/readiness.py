"""Waits for hosts that really serve: on every real `up`, after a host's change and before anything is deleted.

Not a resource hook: after a failed after-hook the engine calls the resource done, and the next `up` would run no hook and delete
the healthy old hosts. So the wait is an asynchronous step inside an `apply`. It is over at once where nothing changed, and
every later `up` repeats it.

A host writes what it knows of itself into the artifact bucket; which of its words count, `stack.host_status` says.

A host that failed tries again and tells how that went; its cause may have been mended since. So a failure counts when it is told during
the wait, and where one stood there already, only that of an attempt that the host began after the wait had begun.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar, cast

import pulumi

from stack.aws_client import InstanceState, StoredObject
from stack.host_status import HostStatus, evaluate_host, record_key
from stack.wait_result import HostsNotReadyError, WaitResult, failed_result, format_detail

T = TypeVar("T")

POLL_INITIAL: Final = 0.5
POLL_MAX: Final = 4.0
"""Seconds between two looks at a host: short at first, then longer."""

EC2_CONSISTENCY_SECONDS: Final = 60.0
"""Seconds for which EC2's answers may be older than what was done last (`Eventual consistency in the Amazon EC2 API`,
https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html). AWS gives no figure; its answers are seconds old."""

FAILURES_TO_CONFIRM: Final = 3
"""Failures of one host until the last of them is believed, where the first stood there when the wait began (the second may end an attempt
that was under way then), and where it served before: what it lacks may just have come back."""


UNCERTAIN_SECONDS: Final = 60.0
"""Seconds until a pet that served last and is in doubt counts as serving: twice what a host takes to tell that it has failed."""


class HostApi(Protocol):
    """What the wait asks AWS; `Cloud` answers. Each call blocks and may raise anything that is to be tried again."""

    def describe_instance(self, instance_id: str) -> InstanceState | None:
        """The instance, or None where EC2 does not know it."""
        ...

    def start_instance(self, instance_id: str) -> None:
        """Starts a stopped instance, without waiting for it."""
        ...

    def find_running_host(self, stack_tags: Mapping[str, str], host: str) -> InstanceState | None:
        """The running instance tagged as this host of the stack with these tags."""
        ...

    def get_object(self, bucket: str, key: str) -> StoredObject | None:
        """An object, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class AwaitedHost:
    """One host to wait for."""

    host: str
    instance_id: str
    bucket: str
    role_id: str
    """The unique id of the instance's role: with the instance's id it names the record, as `aws:userid` does."""
    user_data_sha256: str
    configuration_sha256: str | None = None
    """The hash of the configuration object that must be in force; None where a reload applies nothing on this host."""
    replaceable: bool = False
    """Whether a change replaces the host, and does not change it in place."""

    @property
    def key(self) -> str:
        """The object that only this instance can write."""
        return record_key(self.role_id, self.instance_id)


class UnknownStateError(pulumi.RunError):
    """AWS did not say whether a host serves, and without that nothing may be done to it."""

    def __init__(self, host: str, seconds: float, reason: str) -> None:
        super().__init__(
            f"{host}: could not find out within {seconds:.0f} s whether it serves: {reason}\n\nIt was not changed. Run `up` again."
        )


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time, so that tests need none."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class ReadinessWaiter:
    """The wait of one `up`. `enabled` is false in a preview and where the configuration turns it off."""

    def __init__(self, *, client_factory: Callable[[], HostApi], enabled: bool, timeout: float, clock: Clock | None = None) -> None:
        self._client_factory = client_factory
        self._client: HostApi | None = None
        self._enabled = enabled
        self._timeout = timeout
        self._clock = clock or Clock()
        self._pending = set[str]()
        """Hosts that may yet become ready: all that are waited for, but for those that have ended or failed."""
        self._gated = set[str]()
        """Hosts whose change waits for others."""

    def wait(
        self,
        host: str,
        *,
        instance: pulumi.Output[str],
        bucket: pulumi.Output[str],
        role_id: pulumi.Output[str],
        user_data: pulumi.Output[str],
        configuration: pulumi.Output[str] | None = None,
        replaceable: bool = False,
        depends_on: Sequence[pulumi.Output[Any]] = (),
    ) -> pulumi.Output[WaitResult]:
        """The outcome for one host, once the instance and what must be `after` it (its volume's attachment) are there.

        Where there is a `configuration`, it must be in force. `cattle` are replaced by a change.
        """

        self._pending.add(host)

        def begin(values: list[Any]) -> "Awaitable[WaitResult] | WaitResult":
            if not self._enabled:
                return WaitResult(host=host, ready=True)
            instance_id, bucket_name, role, text, configured, *_ = values
            return self.poll_until_ready(
                AwaitedHost(
                    host=host,
                    instance_id=instance_id,
                    bucket=bucket_name,
                    role_id=role,
                    user_data_sha256=_sha256(text),
                    configuration_sha256=None if configured is None else _sha256(configured),
                    replaceable=replaceable,
                )
            )

        return pulumi.Output.all(instance, bucket, role_id, user_data, configuration, *depends_on).apply(begin)

    def require_ready(self, results: Sequence[pulumi.Output[WaitResult]], value: pulumi.Input[T]) -> pulumi.Output[T]:
        """`value`, once every host is ready. Raises HostsNotReadyError, with every host that is not."""

        def judged(results: list[Any]) -> T:
            *found, held = results
            failures = [outcome for outcome in cast("list[WaitResult]", found) if not outcome.ready]
            if failures:
                raise HostsNotReadyError(failures)
            return cast("T", held)

        return pulumi.Output.all(*results, value).apply(judged)

    def gate_change(
        self,
        host: str,
        results: Sequence[pulumi.Output[WaitResult]],
        *,
        bucket: pulumi.Output[str],
        role_id: pulumi.Output[str],
        stack_tags: pulumi.Output[dict[str, str]],
    ) -> pulumi.Output[None]:
        """Holds a pet's change back until others are ready: a database's partner, so that one of the two always serves; the web hosts
        that a load balancer is to serve under another name.

        Nothing is held back where `host` serves nothing itself: at the first creation (both boot side by side), and where its own
        start failed, so that a repair can reach it while others wait for it. `stack_tags` are the tags that the stack's things are
        found by.
        """

        async def asked(values: list[Any]) -> bool:
            bucket_name, role, tags = values
            return self._enabled and await self._is_serving(host, bucket_name, role, tags)

        def held(serves: bool) -> pulumi.Output[None]:
            if not serves:
                return self.require_ready([], None)
            self._gated.add(host)
            return self.require_ready(results, None).apply(lambda _: self._gated.discard(host))

        return pulumi.Output.all(bucket, role_id, stack_tags).apply(asked).apply(held)

    async def poll_until_ready(self, target: AwaitedHost) -> WaitResult:
        """Looks at a host until it is ready, has failed, or its time is over.

        One that served and does not any more may lack another that this `up` brings back, as a web host lacks the primary: it has failed
        only where it tells so after nobody else is on the way.

        A stopped one is started, once: what an `up` wants is a host that serves, and the provider leaves an instance stopped when it
        replaces its volume's attachment (resourceVolumeAttachmentDelete in terraform-provider-aws's ec2/ebs_volume_attachment.go calls
        StopInstances before it detaches; nothing there starts it again).
        """
        backoff, failures = _Backoff(target.host, self._clock, self._timeout), _FailureTracker()
        started: float | None = None
        while True:
            status = await self._observe(target)
            if status.state == "failed" and status.served_before and (others := self._other_pending_hosts(target.host)):
                failures = _FailureTracker()
                status = replace(
                    status,
                    state="waiting",
                    reason=f"{status.reason}; it served before: checked again once {', '.join(others)} are done",
                )
            else:
                status = failures.confirm(status)
            if status.state == "stopped":
                if started is None:
                    taken, reason = await self._start_instance(target, status.reason)
                    started = backoff.elapsed if taken else None
                    status = HostStatus(state="waiting", reason=reason)
                elif backoff.elapsed - started >= EC2_CONSISTENCY_SECONDS:
                    self._pending.discard(target.host)
                    return _as_failure(
                        target, status, f"failed: {status.reason} although it was started {EC2_CONSISTENCY_SECONDS:.0f} s ago"
                    )
            if status.instance_missing and backoff.elapsed >= EC2_CONSISTENCY_SECONDS:
                status = HostStatus(state="gone", reason=f"EC2 has not shown the instance for {backoff.elapsed:.0f} s")
            if status.state in ("ready", "failed", "gone") or backoff.expired:
                self._pending.discard(target.host)
            if status.state == "ready":
                if backoff.last_reason:
                    pulumi.log.info(f"{target.host}: ready after {backoff.elapsed:.0f} s")
                return WaitResult(host=target.host, ready=True)
            if status.state in ("failed", "gone"):
                return _as_failure(target, status, f"failed: {status.reason}")
            if backoff.expired:
                return _as_failure(target, status, f"not ready after {self._timeout:.0f} s: {status.reason}")
            await backoff.pause(status.reason, format_detail(target.instance_id, status) if status.failing_unit else ())

    def _other_pending_hosts(self, host: str) -> list[str]:
        """Who else may yet become ready; `host` itself, which has failed, is nobody to wait for meanwhile."""
        self._pending.discard(host)
        return sorted(self._pending - self._gated)

    async def _observe(self, target: AwaitedHost) -> HostStatus:
        client = self._get_client()

        def query() -> HostStatus:
            instance = client.describe_instance(target.instance_id)
            return _evaluate(instance, client.get_object(target.bucket, target.key), target.user_data_sha256, target.configuration_sha256)

        try:
            return await asyncio.to_thread(query)
        except Exception as error:
            return HostStatus(state="waiting", reason=_api_error(error), api_failed=True)

    async def _start_instance(self, target: AwaitedHost, reason: str) -> tuple[bool, str]:
        """Whether AWS has taken the start, and what to tell meanwhile."""
        try:
            await asyncio.to_thread(self._get_client().start_instance, target.instance_id)
        except Exception as error:
            return False, _api_error(error)
        return True, f"{reason}: starting it"

    async def _is_serving(self, host: str, bucket: str, role_id: str, stack_tags: Mapping[str, str]) -> bool:
        """Whether the host says of itself that it serves. AWS has as long to answer as a host has to become ready.

        One that is in doubt is asked again; it counts as serving where that does not end: its partner is not to leave beside it.
        """
        client, backoff = self._get_client(), _Backoff(host, self._clock, self._timeout)

        def query() -> HostStatus | None:
            instance = client.find_running_host(stack_tags, host)
            return None if instance is None else _evaluate(instance, client.get_object(bucket, record_key(role_id, instance.id)), None)

        while True:
            try:
                status = await asyncio.to_thread(query)
            except Exception as error:
                reason = _api_error(error)
                if backoff.expired:
                    raise UnknownStateError(host, self._timeout, reason) from error
            else:
                if status is None or not status.uncertain or backoff.elapsed >= UNCERTAIN_SECONDS:
                    return status is not None and (status.state == "ready" or status.uncertain)
                reason = status.reason
            await backoff.pause(reason)

    def _get_client(self) -> HostApi:
        if self._client is None:
            self._client = self._client_factory()
        return self._client


class _FailureTracker:
    """The failures that one host has told of during a wait, by their times."""

    def __init__(self) -> None:
        self._reported = set[str]()
        self._required: int | None = None

    def confirm(self, status: HostStatus) -> HostStatus:
        """The verdict, one more of a wait; `waiting` where it is a failure that may have been mended since."""
        failed = status.state == "failed"
        if status.served_before or (self._required is None and not status.api_failed):
            self._required = FAILURES_TO_CONFIRM if failed else 1
        if failed:
            self._reported.add(status.reported_at)
        if not failed or status.final or len(self._reported) >= (self._required or 0):
            return status
        before = "served" if status.served_before else "failed"
        return replace(status, state="waiting", reason=f"it {before} before and is trying again: {status.reason}")


class _Backoff:
    """How long one host has been waited for, the pauses between two looks at it, and what was told meanwhile."""

    def __init__(self, host: str, clock: Clock, timeout: float) -> None:
        self._host, self._clock, self._timeout = host, clock, timeout
        self._started_at = clock.now()
        self._interval = POLL_INITIAL
        self._detail_logged = False
        self.last_reason = ""
        """The last reason that was shown; empty where there was none."""

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock.now() - self._started_at

    @property
    def expired(self) -> bool:
        """Whether nobody waits any longer."""
        return self.elapsed >= self._timeout

    async def pause(self, reason: str, detail: Sequence[str] = ()) -> None:
        """Shows a reason that is new, the detail only with the first that has any, and sleeps until the next look."""
        if reason != self.last_reason:
            self.last_reason = reason
            pulumi.log.info("\n".join([f"{self._host}: {reason}", *(() if self._detail_logged else detail)]))
            self._detail_logged = self._detail_logged or bool(detail)
        await self._clock.sleep(min(self._interval, max(0.1, self._timeout - self.elapsed)))
        self._interval = min(self._interval * 1.3, POLL_MAX)


def _evaluate(
    instance: InstanceState | None, record: StoredObject | None, user_data_sha256: str | None, configuration_sha256: str | None = None
) -> HostStatus:
    if record is None:
        return evaluate_host(instance, None, user_data_sha256, configuration_sha256)
    return evaluate_host(instance, record.body, user_data_sha256, configuration_sha256, age=record.age)


def _api_error(error: Exception) -> str:
    return f"AWS does not answer: {type(error).__name__}: {error}"


def _as_failure(target: AwaitedHost, status: HostStatus, summary: str) -> WaitResult:
    return failed_result(target.host, target.instance_id, status, replaceable=target.replaceable, summary=summary)


def _sha256(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()
