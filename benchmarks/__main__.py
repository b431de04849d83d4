"""`python -m benchmarks [PART …]`: measures and keeps the figures in build/benchmarks.json."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType

from benchmarks import engine, firewall, internal_tls, limits, preview, requests, startup
from benchmarks.bench_lab import BenchLab, bench_lab
from benchmarks.figures import RESULTS, Figure, Machine, keep, show
from lab.errors import LabError
from ops import requirements
from ops.failures import INTERRUPTED

ON_THE_LAB: Mapping[str, Callable[[BenchLab], list[Figure]]] = {
    "startup": startup.measure,
    "preview": preview.measure,
    "requests": requests.measure,
    "limits": limits.measure,
    "internal-tls": internal_tls.measure,
}
PARTS = {
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
        epilog="\n".join(f"{name:12} {text}" for name, text in PARTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", metavar="PART", nargs="*", help="what to measure; all without it")
    wanted: list[str] = parser.parse_args().parts or list(PARTS)
    if unknown := [part for part in wanted if part not in PARTS]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        run(wanted)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    print(f"\nkept in {RESULTS}")
    return 0


def run(wanted: list[str]) -> None:
    """Measures the parts in their own order; those on hosts share one lab. Raises LabError."""
    on_the_lab = [part for part in ON_THE_LAB if part in wanted]
    if on_the_lab or "firewall" in wanted:
        requirements.require_host("The benchmarks on hosts")
    if "engine" in wanted:
        machine = Machine.here()
        _tell("engine", machine, engine.measure())
    if "firewall" in wanted:
        machine = Machine.here()
        _tell("firewall", machine, firewall.measure())
    if not on_the_lab:
        return
    machine = Machine.here()
    with bench_lab() as lab:
        for part in on_the_lab:
            _tell(part, machine, ON_THE_LAB[part](lab))
            machine = Machine.here()


def _tell(part: str, machine: Machine, figures: list[Figure]) -> None:
    show(part, machine, figures)
    keep(part, machine, figures)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
