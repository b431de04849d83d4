"""A role that comes out as a test tells it, and what its host says of it, without any time."""

from collections.abc import Sequence

from webstack_host.readiness import CheckResult


class FakeRole:
    """A role whose attempts at its configuration and whose checks come out as told; the last of each comes again and again."""

    metadata_users: tuple[str, ...] = ()

    def __init__(self, *checks: CheckResult | Exception, attempts: Sequence[Exception | None] = (None,)) -> None:
        self.checks = list(checks)
        self.attempts = list(attempts)
        self.configured = 0

    def configure(self) -> None:
        self.configured += 1
        if (error := self.attempts.pop(0) if len(self.attempts) > 1 else self.attempts[0]) is not None:
            raise error

    def check(self) -> CheckResult:
        found = self.checks.pop(0) if len(self.checks) > 1 else self.checks[0]
        if isinstance(found, Exception):
            raise found
        return found


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 3600, "it never ends"


SERVES = CheckResult(ok=True, reason="serves")


class Told(list[tuple[str, str]]):
    """What a host told, as (state, reason); `deaf` makes so many tellings fail."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.deaf = 0
        self.times: list[float] = []
        self.details: list[list[str]] = []

    def say(self, state: str, found: CheckResult) -> bool:
        if self.deaf:
            self.deaf -= 1
            return False
        self.append((state, found.reason))
        self.times.append(self.clock.now)
        self.details.append(found.detail)
        return True
