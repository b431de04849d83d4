"""Time and memory of the engine for fleets of three sizes, against the API alone: no host boots, nothing waits for readiness."""

import multiprocessing
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pulumi import automation as auto

from benchmarks.results import Measurement
from lab.engine import pulumi_cli
from lab.engine.engine import Engine, EngineOptions
from lab.engine.workspace import Setting
from lab.paths import REPOSITORY
from lab.standalone_moto import standalone_moto
from ops.engine_run import interruptible
from ops.terminal import Terminal

SIZES = (2, 20, 200)


@dataclass(frozen=True, kw_only=True)
class FleetMeasurement:
    """What one size cost: seconds, and MiB at the peak."""

    web_hosts: int
    resources: int
    create: float
    no_op_up: float
    no_op_changes: int
    """What the second `up` changed: 0, or it is no figure of an `up` without a change."""
    destroy: float
    engine_memory: float
    program_memory: float
    provider_memory: float


def measure() -> list[Measurement]:
    """Each size in a process of its own, so that the peak of one is not the next one's."""
    figures: list[Measurement] = []
    for size in SIZES:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            fleet = pool.submit(measure_fleet, size).result()
        name = f"{size} web hosts"
        note = f"{fleet.resources} resources"
        again = f"NOT without a change: {fleet.no_op_changes} resources" if fleet.no_op_changes else ""
        figures += [
            Measurement(name=f"{name}: up from nothing", value=fleet.create, unit="s", note=note),
            Measurement(name=f"{name}: up without a change", value=fleet.no_op_up, unit="s", note=again),
            Measurement(name=f"{name}: destroy", value=fleet.destroy, unit="s"),
            Measurement(
                name=f"{name}: engine's memory", value=fleet.engine_memory, unit="MiB", note="peak resident set of the pulumi process"
            ),
            Measurement(name=f"{name}: program's memory", value=fleet.program_memory, unit="MiB", note="the same, of the Python program"),
            Measurement(name=f"{name}: provider's memory", value=fleet.provider_memory, unit="MiB", note="the lab's, not the real one's"),
        ]
    return figures


def measure_fleet(web_hosts: int) -> FleetMeasurement:
    """Creates, repeats and destroys a stack of that many web hosts on an empty API."""
    console = Terminal(stderr=True)
    with tempfile.TemporaryDirectory(prefix="webstack-bench-") as folder, standalone_moto(Path(folder)) as endpoint:
        options = EngineOptions(
            home=Path(folder) / "engine",
            repository=REPOSITORY,
            stack="dev",
            endpoint=endpoint,
            pulumi_root=pulumi_cli.ensure(),
            settings=[Setting.parse(f"web.count={web_hosts}"), Setting.parse("readiness.wait=false")],
            checkpoints=False,
        )
        with (
            Engine(options) as engine,
            PeakMemory(options.home / "pulumi.pid") as cli,
            PeakMemory(options.home / "provider.pid") as provider,
        ):
            create = timed(lambda: interruptible(engine, console, engine.up))
            resources = len((engine.stack.export_stack().deployment or {}).get("resources", []))
            ups: list[auto.UpResult] = []
            again = timed(lambda: ups.append(interruptible(engine, console, engine.up)))
            destroy = timed(lambda: interruptible(engine, console, engine.destroy))
    return FleetMeasurement(
        web_hosts=web_hosts,
        resources=resources,
        create=create,
        no_op_up=again,
        no_op_changes=sum(count for kind, count in (ups[0].summary.resource_changes or {}).items() if kind != "same"),
        destroy=destroy,
        engine_memory=cli.mebibytes,
        program_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        provider_memory=provider.mebibytes,
    )


def timed(operation: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    began = time.monotonic()
    operation()
    return time.monotonic() - began


class PeakMemory:
    """The highest peak of the processes that a pid file names while the context is open.

    The kernel keeps each process's own peak (VmHWM, proc_pid_status(5)), so looking now and then misses only what is allocated in a
    process's last moments.
    """

    INTERVAL = 0.1

    def __init__(self, pid_file: Path) -> None:
        self._pid_file = pid_file
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.mebibytes = 0.0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self.INTERVAL):
            # Between two runs there is no file, and a process may end while it is looked at.
            with suppress(OSError, ValueError, IndexError, StopIteration):
                status = Path("/proc", self._pid_file.read_text().split()[0], "status").read_text().splitlines()
                peak = next(line for line in status if line.startswith("VmHWM:"))
                self.mebibytes = max(self.mebibytes, int(peak.split()[1]) / 2**10)
