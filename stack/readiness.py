"""The wait for hosts that really serve: on every real `up`, after a host's change and before anything is deleted.

Not a resource hook: after a failed after-hook the engine calls the resource done, and the next `up` would run no hook and delete
the healthy old hosts. So the wait is an asynchronous step inside an `apply`. It is over at once where nothing changed, and
every later `up` repeats it.

A host writes what it knows of itself into the artifact bucket; which of its words count, `stack.records` says.

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

from stack.cloud import InstanceState, StoredObject
from stack.outcomes import NotReadyError, Outcome, explained, failure
from stack.records import Verdict, judge, record_key

T = TypeVar("T")

POLL_FIRST: Final = 0.5
POLL_LONGEST: Final = 4.0
"""Seconds between two looks at a host: short at first, then longer."""

STALE_FOR: Final = 60.0
"""Seconds for which EC2's answers may be older than what was done last (`Eventual consistency in the Amazon EC2 API`,
https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html). AWS gives no figure; its answers are seconds old."""

TOLD_BEFORE_BELIEVED: Final = 3
"""Failures of one host until the last of them is believed, where the first stood there when the wait began (the second may end an attempt
that was under way then), and where it served before: what it lacks may just have come back."""


DOUBTFUL_FOR: Final = 60.0
"""Seconds until a pet that served last and is in doubt counts as serving: twice what a host takes to tell that it has failed."""


class Door(Protocol):
    """What the wait asks AWS; `Cloud` answers. Each call blocks and may raise anything that is to be tried again."""

    def instance(self, instance_id: str) -> InstanceState | None:
        """The instance, or None where EC2 does not know it."""
        ...

    def start(self, instance_id: str) -> None:
        """Starts a stopped instance, without waiting for it."""
        ...

    def running_host(self, own: Mapping[str, str], host: str) -> InstanceState | None:
        """The running instance tagged as this host of the stack with these tags."""
        ...

    def read(self, bucket: str, key: str) -> StoredObject | None:
        """An object, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One host to wait for."""

    host: str
    instance_id: str
    bucket: str
    role_id: str
    """The unique id of the instance's role: with the instance's id it names the record, as `aws:userid` does."""
    user_data_sha256: str
    configuration_sha256: str | None = None
    """The hash of the configuration object that must be in force; None where a reload applies nothing on this host."""
    cattle: bool = False
    """Whether a change replaces the host, and does not change it in place."""

    @property
    def key(self) -> str:
        """The object that only this instance can write."""
        return record_key(self.role_id, self.instance_id)


class UnknownStateError(pulumi.RunError):
    """AWS did not say whether a host serves, and without that nothing may be done to it."""

    def __init__(self, host: str, seconds: float, reason: str) -> None:
        super().__init__(f"{host}: whether it serves is not known after {seconds:.0f} s: {reason}\n\nIt was not changed. Try `up` again.")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time, so that tests need none."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Readiness:
    """The wait of one `up`. `enabled` is false in a preview and where the configuration turns it off."""

    def __init__(self, *, door: Callable[[], Door], enabled: bool, timeout: float, clock: Clock | None = None) -> None:
        self._open = door
        self._door: Door | None = None
        self._enabled = enabled
        self._timeout = timeout
        self._clock = clock or Clock()
        self._awaited = set[str]()
        """Hosts that may yet become ready: all that are waited for, but for those that have ended or failed."""
        self._held = set[str]()
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
        cattle: bool = False,
        beside: Sequence[pulumi.Output[Any]] = (),
    ) -> pulumi.Output[Outcome]:
        """The outcome for one host, once the instance and what must be `beside` it (its volume's attachment) are there.

        Where there is a `configuration`, it must be in force. `cattle` are replaced by a change.
        """

        self._awaited.add(host)

        def begin(values: list[Any]) -> "Awaitable[Outcome] | Outcome":
            if not self._enabled:
                return Outcome(host=host, ready=True)
            instance_id, bucket_name, role, text, wanted, *_ = values
            return self.watch(
                Subject(
                    host=host,
                    instance_id=instance_id,
                    bucket=bucket_name,
                    role_id=role,
                    user_data_sha256=_sha256(text),
                    configuration_sha256=None if wanted is None else _sha256(wanted),
                    cattle=cattle,
                )
            )

        return pulumi.Output.all(instance, bucket, role_id, user_data, configuration, *beside).apply(begin)

    def require(self, outcomes: Sequence[pulumi.Output[Outcome]], value: pulumi.Input[T]) -> pulumi.Output[T]:
        """`value`, once every host is ready. Raises NotReadyError, with every host that is not."""

        def judged(results: list[Any]) -> T:
            *found, held = results
            failures = [outcome for outcome in cast("list[Outcome]", found) if not outcome.ready]
            if failures:
                raise NotReadyError(failures)
            return cast("T", held)

        return pulumi.Output.all(*outcomes, value).apply(judged)

    def before_changing(
        self,
        host: str,
        outcomes: Sequence[pulumi.Output[Outcome]],
        *,
        bucket: pulumi.Output[str],
        role_id: pulumi.Output[str],
        own: pulumi.Output[dict[str, str]],
    ) -> pulumi.Output[None]:
        """Holds a pet's change back until others are ready: a database's partner, so that one of the two always serves; the web hosts
        that a load balancer is to serve under another name.

        Nothing is held back where `host` serves nothing itself: at the first creation (both boot side by side), and where its own
        start failed, so that a repair can reach it while others wait for it. `own` are the tags that the stack's things are
        found by.
        """

        async def asked(values: list[Any]) -> bool:
            bucket_name, role, tags = values
            return self._enabled and await self._serves(host, bucket_name, role, tags)

        def held(serves: bool) -> pulumi.Output[None]:
            if not serves:
                return self.require([], None)
            self._held.add(host)
            return self.require(outcomes, None).apply(lambda _: self._held.discard(host))

        return pulumi.Output.all(bucket, role_id, own).apply(asked).apply(held)

    async def watch(self, subject: Subject) -> Outcome:
        """Looks at a host until it is ready, has failed, or its time is over.

        One that served and does not any more may lack another that this `up` brings back, as a web host lacks the primary: it has failed
        only where it tells so after nobody else is on the way.

        A stopped one is started, once: what an `up` wants is a host that serves, and the provider leaves an instance stopped when it
        replaces its volume's attachment (resourceVolumeAttachmentDelete in terraform-provider-aws's ec2/ebs_volume_attachment.go calls
        StopInstances before it detaches; nothing there starts it again).
        """
        patience, failures = _Patience(subject.host, self._clock, self._timeout), _Failures()
        started: float | None = None
        while True:
            verdict = await self._look(subject)
            if verdict.state == "failed" and verdict.served and (others := self._others_on_the_way(subject.host)):
                failures = _Failures()
                verdict = replace(
                    verdict,
                    state="waiting",
                    reason=f"{verdict.reason}; it served before: looked at again once {', '.join(others)} are through",
                )
            else:
                verdict = failures.judge(verdict)
            if verdict.state == "stopped":
                if started is None:
                    taken, reason = await self._start(subject, verdict.reason)
                    started = patience.waited if taken else None
                    verdict = Verdict(state="waiting", reason=reason)
                elif patience.waited - started >= STALE_FOR:
                    self._awaited.discard(subject.host)
                    return _failed(subject, verdict, f"failed: {verdict.reason} although it was started {STALE_FOR:.0f} s ago")
            if verdict.unseen and patience.waited >= STALE_FOR:
                verdict = Verdict(state="gone", reason=f"EC2 has not shown the instance for {patience.waited:.0f} s")
            if verdict.state in ("ready", "failed", "gone") or patience.over:
                self._awaited.discard(subject.host)
            if verdict.state == "ready":
                if patience.told:
                    pulumi.log.info(f"{subject.host}: ready after {patience.waited:.0f} s")
                return Outcome(host=subject.host, ready=True)
            if verdict.state in ("failed", "gone"):
                return _failed(subject, verdict, f"failed: {verdict.reason}")
            if patience.over:
                return _failed(subject, verdict, f"not ready after {self._timeout:.0f} s: {verdict.reason}")
            await patience.pause(verdict.reason, explained(subject.instance_id, verdict) if verdict.failing else ())

    def _others_on_the_way(self, host: str) -> list[str]:
        """Who else may yet become ready; `host` itself, which has failed, is nobody to wait for meanwhile."""
        self._awaited.discard(host)
        return sorted(self._awaited - self._held)

    async def _look(self, subject: Subject) -> Verdict:
        door = self._door_opened()

        def ask() -> Verdict:
            instance = door.instance(subject.instance_id)
            return _judged(instance, door.read(subject.bucket, subject.key), subject.user_data_sha256, subject.configuration_sha256)

        try:
            return await asyncio.to_thread(ask)
        except Exception as error:
            return Verdict(state="waiting", reason=_no_answer(error), unanswered=True)

    async def _start(self, subject: Subject, reason: str) -> tuple[bool, str]:
        """Whether AWS has taken the start, and what to tell meanwhile."""
        try:
            await asyncio.to_thread(self._door_opened().start, subject.instance_id)
        except Exception as error:
            return False, _no_answer(error)
        return True, f"{reason}: starting it"

    async def _serves(self, host: str, bucket: str, role_id: str, own: Mapping[str, str]) -> bool:
        """Whether the host says of itself that it serves. AWS has as long to answer as a host has to become ready.

        One that is in doubt is asked again; it counts as serving where that does not end: its partner is not to leave beside it.
        """
        door, patience = self._door_opened(), _Patience(host, self._clock, self._timeout)

        def ask() -> Verdict | None:
            instance = door.running_host(own, host)
            return None if instance is None else _judged(instance, door.read(bucket, record_key(role_id, instance.id)), None)

        while True:
            try:
                verdict = await asyncio.to_thread(ask)
            except Exception as error:
                reason = _no_answer(error)
                if patience.over:
                    raise UnknownStateError(host, self._timeout, reason) from error
            else:
                if verdict is None or not verdict.doubtful or patience.waited >= DOUBTFUL_FOR:
                    return verdict is not None and (verdict.state == "ready" or verdict.doubtful)
                reason = verdict.reason
            await patience.pause(reason)

    def _door_opened(self) -> Door:
        if self._door is None:
            self._door = self._open()
        return self._door


class _Failures:
    """The failures that one host has told of during a wait, by their times."""

    def __init__(self) -> None:
        self._told = set[str]()
        self._needed: int | None = None

    def judge(self, verdict: Verdict) -> Verdict:
        """The verdict, one more of a wait; `waiting` where it is a failure that may have been mended since."""
        failed = verdict.state == "failed"
        if verdict.served or (self._needed is None and not verdict.unanswered):
            self._needed = TOLD_BEFORE_BELIEVED if failed else 1
        if failed:
            self._told.add(verdict.told)
        if not failed or verdict.final or len(self._told) >= (self._needed or 0):
            return verdict
        before = "served" if verdict.served else "failed"
        return replace(verdict, state="waiting", reason=f"it {before} before, and tries again: {verdict.reason}")


class _Patience:
    """How long one host has been waited for, the pauses between two looks at it, and what was told meanwhile."""

    def __init__(self, host: str, clock: Clock, timeout: float) -> None:
        self._host, self._clock, self._timeout = host, clock, timeout
        self._began = clock.now()
        self._pause = POLL_FIRST
        self._detailed = False
        self.told = ""
        """The last reason that was shown; empty where there was none."""

    @property
    def waited(self) -> float:
        """Seconds since the beginning."""
        return self._clock.now() - self._began

    @property
    def over(self) -> bool:
        """Whether nobody waits any longer."""
        return self.waited >= self._timeout

    async def pause(self, reason: str, detail: Sequence[str] = ()) -> None:
        """Shows a reason that is new, the detail only with the first that has any, and sleeps until the next look."""
        if reason != self.told:
            self.told = reason
            pulumi.log.info("\n".join([f"{self._host}: {reason}", *(() if self._detailed else detail)]))
            self._detailed = self._detailed or bool(detail)
        await self._clock.sleep(min(self._pause, max(0.1, self._timeout - self.waited)))
        self._pause = min(self._pause * 1.3, POLL_LONGEST)


def _judged(
    instance: InstanceState | None, record: StoredObject | None, user_data_sha256: str | None, configuration_sha256: str | None = None
) -> Verdict:
    if record is None:
        return judge(instance, None, user_data_sha256, configuration_sha256)
    return judge(instance, record.body, user_data_sha256, configuration_sha256, age=record.age)


def _no_answer(error: Exception) -> str:
    return f"AWS does not answer: {type(error).__name__}: {error}"


def _failed(subject: Subject, verdict: Verdict, what: str) -> Outcome:
    return failure(subject.host, subject.instance_id, verdict, cattle=subject.cattle, what=what)


def _sha256(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()
