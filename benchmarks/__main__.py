"""`python -m benchmarks [PART …]`: measures and keeps the figures in build/benchmarks.json."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType

from benchmarks import engine, firewall, http_load, internal_tls, limits, preview, startup
from benchmarks.bench_lab import BenchLab, bench_lab
from benchmarks.results import RESULTS, Machine, Measurement, print_measurements, save
from lab.errors import LabError
from ops import requirements
from ops.errors import EXIT_INTERRUPTED

LAB_BENCHMARKS: Mapping[str, Callable[[BenchLab], list[Measurement]]] = {
    "startup": startup.measure,
    "preview": preview.measure,
    "requests": http_load.measure,
    "limits": limits.measure,
    "internal-tls": internal_tls.measure,
}
BENCHMARKS = {
    "engine": "the engine's time and memory for 2, 20 and 200 web hosts, on the API alone (needs no root)",
    "firewall": "security groups: how fast a change holds, and what a packet costs, with 2 and 20 web hosts",
    "startup": "from `webstack lab up` to serving, step by step",
    "preview": "a preview where nothing is to change",
    "requests": "requests per second and their times, through the whole path and past it",
    "limits": "the same with and without the limits of each address",
    "internal-tls": "the same with and without TLS between load balancer and web hosts",
}


def main() -> int:
    """Measures what was asked for; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures, prints, and keeps the figures in build/benchmarks.json. Nothing is asserted.",
        epilog="\n".join(f"{name:12} {text}" for name, text in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", metavar="PART", nargs="*", help="what to measure; all without it")
    wanted: list[str] = parser.parse_args().parts or list(BENCHMARKS)
    if unknown := [part for part in wanted if part not in BENCHMARKS]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        run(wanted)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    print(f"\nkept in {RESULTS}")
    return 0


def run(wanted: list[str]) -> None:
    """Measures the parts in their own order; those on hosts share one lab. Raises LabError."""
    on_the_lab = [part for part in LAB_BENCHMARKS if part in wanted]
    if on_the_lab or "firewall" in wanted:
        requirements.require_host("The benchmarks on hosts")
    if "engine" in wanted:
        machine = Machine.current()
        _report("engine", machine, engine.measure())
    if "firewall" in wanted:
        machine = Machine.current()
        _report("firewall", machine, firewall.measure())
    if not on_the_lab:
        return
    machine = Machine.current()
    with bench_lab() as lab:
        for part in on_the_lab:
            _report(part, machine, LAB_BENCHMARKS[part](lab))
            machine = Machine.current()


def _report(part: str, machine: Machine, figures: list[Measurement]) -> None:
    print_measurements(part, machine, figures)
    save(part, machine, figures)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
