"""Requests per second and their times through the whole path, and beside it straight to Nginx and to Gunicorn on one web host.

h2load sends them, with as many at a time on every way. It and all hosts share this machine's cores, so the figures compare the ways with
each other; they do not say what machines of their own could do. The ways take turns, so that what else the machine does meets all alike.
"""

import math
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bench_lab import BenchLab, BenchmarkError
from benchmarks.results import Measurement
from lab import control_client

ROUNDS = 3
CONCURRENCY = 16
WARM_UP = 200
REQUESTS = {"page": 1500, "API": 1500, "static file": 6000}
"""In each round, on each way."""

PATHS = {"page": "/", "API": "/api/products", "static file": "/static/shop.css"}
WEB_HOST = "web-1"
SOCKET = "run/webstack-app/gunicorn.sock"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A way to the app: h2load's options before the URL, what stands before the path, and the command that enters a network."""

    name: str
    base: str
    options: tuple[str, ...]
    namespace_command: tuple[str, ...] = ()

    def command(self, path: str, count: int, log: Path) -> list[str]:
        """The command line for `count` requests; per-request times go to `log`."""
        # As browsers ask; without it nothing would be compressed.
        headers = ("--header=accept-encoding: gzip",)
        return [
            *self.namespace_command,
            "h2load",
            *self.options,
            *headers,
            f"--requests={count}",
            f"--log-file={log}",
            f"{self.base}{path}",
        ]


@dataclass(kw_only=True)
class Sample:
    """What one way did with one kind of request, over all rounds."""

    rates: list[float] = field(default_factory=list[float])
    milliseconds: list[float] = field(default_factory=list[float])
    failed: int = 0


def measure(lab: BenchLab) -> list[Measurement]:
    """Rate, median and 99th percentile of every kind of request on every way. Raises BenchmarkError."""
    ways = targets(lab)
    samples = {(kind, way.name): Sample() for kind in PATHS for way in ways}
    with tempfile.TemporaryDirectory(prefix="webstack-bench-") as folder:
        log = Path(folder) / "requests.tsv"
        for kind, path in PATHS.items():
            for way in ways:
                run_h2load(way, path, WARM_UP, log, Sample())
            for _ in range(ROUNDS):
                for way in ways:
                    run_h2load(way, path, REQUESTS[kind], log, samples[kind, way.name])
    return [figure for (kind, way), sample in samples.items() for figure in summarize(f"{kind}, {way}", sample)]


def targets(lab: BenchLab) -> list[Target]:
    """The four ways; all keep their connections open. Raises BenchmarkError."""
    if shutil.which("h2load") is None:
        raise BenchmarkError("h2load is missing; it is in Debian's package nghttp2-client: apt-get install nghttp2-client")
    pid = control_client.init_pid(lab.names, WEB_HOST)
    if pid is None:
        raise BenchmarkError(f"{WEB_HOST} is not running")
    url = lab.command("url").strip().rstrip("/")
    one_each = ("--h1", f"--clients={CONCURRENCY}")
    several_each = (f"--clients={CONCURRENCY // 4}", "--max-concurrent-streams=4")
    socket = f"--base-uri=unix:/proc/{pid}/root/{SOCKET}"
    return [
        Target(name="whole path, HTTP/1.1", base=url, options=one_each),
        Target(name="whole path, HTTP/2", base=url, options=several_each),
        Target(
            name=f"Nginx of {WEB_HOST}",
            base="http://127.0.0.1:8080",
            options=one_each,
            namespace_command=("nsenter", f"--net=/proc/{pid}/ns/net"),
        ),
        Target(name=f"Gunicorn of {WEB_HOST}", base="http://localhost", options=(*one_each, socket)),
    ]


def run_h2load(target: Target, path: str, count: int, log: Path, sample: Sample) -> None:
    """Sends `count` requests and adds what came of them. Raises BenchmarkError where h2load fails."""
    log.unlink(missing_ok=True)
    result = subprocess.run(target.command(path, count, log), capture_output=True, text=True, check=False, timeout=300)
    rows = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    if result.returncode != 0 or not rows:
        raise BenchmarkError(f"h2load by {target.name}: status {result.returncode}\n{result.stdout[-1500:]}\n{result.stderr[-1500:]}")
    # Start (microseconds since the epoch), status, duration (microseconds): h2load(1), --log-file.
    begun = min(int(row[0]) for row in rows)
    ended = max(int(row[0]) + int(row[2]) for row in rows)
    good = [int(row[2]) / 1000 for row in rows if row[1] == "200"]
    sample.failed += count - len(good)
    sample.rates.append(len(good) / ((ended - begun) / 1e6))
    sample.milliseconds += good


def summarize(name: str, sample: Sample) -> list[Measurement]:
    """The figures of one sample; failures are one only where there were any."""
    times = sorted(sample.milliseconds)
    if not times:
        return [Measurement(name=f"{name}: failed", value=sample.failed, unit="requests")]
    failed = [Measurement(name=f"{name}: failed", value=sample.failed, unit="requests")] if sample.failed else []
    return [
        Measurement(name=name, value=statistics.median(sample.rates), unit="requests/s", note=f"median of {len(sample.rates)} rounds"),
        Measurement(name=f"{name}: p50", value=percentile(times, 50), unit="ms"),
        Measurement(name=f"{name}: p99", value=percentile(times, 99), unit="ms"),
        *failed,
    ]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent do not exceed."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
