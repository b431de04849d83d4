"""A bounded load as people make it: clients that keep their connection, speak HTTP/2 or connect anew, and think between requests."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import httpx

CLIENT_TIMEOUT = 30.0
"""Seconds after which a client gives a request up; longer than anything that is promised."""

TICK, STALL = 0.02, 0.05
"""Seconds: how often the load looks whether this machine runs at all, and what counts as a pause of it."""


class Kind(StrEnum):
    """How a client connects."""

    KEEP_ALIVE = "keep-alive"
    HTTP2 = "http2"
    NEW_CONNECTION = "new-connection"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One request and what came of it. Times are seconds, `started` on the monotonic clock; `status` is None where no answer came."""

    kind: Kind
    method: str
    path: str
    started: float
    seconds: float
    status: int | None
    error: str = ""
    web_host: str = ""
    identifier: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether an answer came that is no error."""
        return self.status is not None and self.status < 400


@dataclass(frozen=True, kw_only=True)
class Shopper:
    """What one client does at each turn: a GET of `path`, or a POST that carries `identifier`."""

    path: str = "/api/products"
    post: Callable[[httpx.Client, str], httpx.Response] | None = None
    log_in: Callable[[httpx.Client], None] | None = None


@dataclass
class Load:
    """Clients that run while the context is open. `outcomes` is complete once it is closed."""

    base_url: str
    clients: Sequence[tuple[Kind, Shopper]]
    think_seconds: tuple[float, float] = (0.02, 0.15)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    seed: int = 20
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    failures: list[BaseException] = field(default_factory=list[BaseException])
    stalls: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """When this machine ran on after a pause (monotonic clock), and for how many seconds it had stood still."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Load":
        for number, (kind, shopper) in enumerate(self.clients):
            thread = threading.Thread(target=self._run, args=(kind, shopper, random.Random(self.seed + number)), daemon=True)  # noqa: S311 (think times)
            self._threads.append(thread)
        self._threads.append(threading.Thread(target=self._record_stalls, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(CLIENT_TIMEOUT + 5)
        if self.failures:
            raise self.failures[0]

    def run_for(self, seconds: float) -> None:
        """Lets the load go on for so long."""
        time.sleep(seconds)

    def seconds_without_stalls(self, outcome: Outcome) -> float:
        """What a request took, less what this machine stood still meanwhile: nobody promises anything for that time."""
        end = outcome.started + outcome.seconds
        return outcome.seconds - sum(min(late, at - outcome.started) for at, late in self.stalls if outcome.started < at <= end)

    def _record_stalls(self) -> None:
        due = time.monotonic() + TICK
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            now = time.monotonic()
            if now - due > STALL:
                self.stalls.append((now, now - due))
            due = now + TICK

    def _run(self, kind: Kind, shopper: Shopper, chance: random.Random) -> None:
        try:
            client = self._client(kind)
            if shopper.log_in is not None:
                shopper.log_in(client)
            while not self._stop.is_set():
                if kind is Kind.NEW_CONNECTION:
                    cookies, headers = client.cookies, client.headers
                    client.close()
                    client = self._client(kind)
                    client.cookies, client.headers = cookies, headers
                outcome = self._request(client, kind, shopper)
                with self._lock:
                    self.outcomes.append(outcome)
                self._stop.wait(chance.uniform(*self.think_seconds))
            client.close()
        except BaseException as error:  # a broken client must fail the test, not fall silent
            self.failures.append(error)

    def _client(self, kind: Kind) -> httpx.Client:
        # The certificate is the lab's own; one test looks at it, the load does not.
        return httpx.Client(
            base_url=self.base_url,
            http2=kind is Kind.HTTP2,
            verify=False,  # noqa: S501
            timeout=CLIENT_TIMEOUT,
            headers=dict(self.headers),
        )

    def _request(self, client: httpx.Client, kind: Kind, shopper: Shopper) -> Outcome:
        identifier = uuid.uuid4().hex if shopper.post else ""
        method = "POST" if shopper.post else "GET"
        started = time.monotonic()
        status, error, web_host = None, "", ""
        try:
            answer = shopper.post(client, identifier) if shopper.post else client.get(shopper.path)
            status, web_host = answer.status_code, answer.headers.get("x-web-host", "")
            answer.read()
        except httpx.HTTPError as failure:
            error = f"{type(failure).__name__}: {failure}"
        return Outcome(
            kind=kind,
            method=method,
            path=shopper.path,
            started=started,
            seconds=time.monotonic() - started,
            status=status,
            error=error,
            web_host=web_host,
            identifier=identifier,
        )


def report(outcomes: Sequence[Outcome]) -> str:
    """The load in a few lines, for a failed assertion's message."""
    lines: list[str] = []
    for kind in Kind:
        for method in ("GET", "POST"):
            chosen = [outcome for outcome in outcomes if outcome.kind is kind and outcome.method == method]
            if chosen:
                failed = [outcome for outcome in chosen if not outcome.succeeded]
                slowest = max(outcome.seconds for outcome in chosen)
                lines.append(f"{kind} {method}: {len(chosen)} requests, {len(failed)} failed, slowest {slowest:.2f} s")
                lines += [f"    {outcome.status} after {outcome.seconds:.2f} s: {outcome.error or outcome.path}" for outcome in failed[:5]]
    return "\n".join(lines)
