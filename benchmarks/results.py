"""What a measurement gives, on which machine, and where it is kept."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab.paths import REPOSITORY

RESULTS = REPOSITORY / "build" / "benchmarks.json"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One number."""

    name: str
    value: float
    unit: str
    note: str = ""
    """What a reader must know to take the number for no more than it is."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and under what load the numbers came about."""

    time: str
    cores: int
    processor: str
    memory_gib: float
    kernel: str
    load_average: float
    """Over the last minute, at the start: above a few tenths, somebody else's work is in the numbers."""

    @classmethod
    def current(cls) -> "Machine":
        """This machine, now."""
        return cls(
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            cores=len(os.sched_getaffinity(0)),
            processor=_field(Path("/proc/cpuinfo"), "model name"),
            memory_gib=round(int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / 2**20, 1),
            kernel=platform.release(),
            load_average=round(os.getloadavg()[0], 2),
        )


def save(part: str, machine: Machine, figures: Sequence[Measurement], path: Path = RESULTS) -> None:
    """Writes one part's figures into the results; those of the other parts stay, each with the machine that it was measured on."""
    kept: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    kept[part] = {"machine": asdict(machine), "figures": [asdict(figure) for figure in figures]}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=2) + "\n")


def print_measurements(part: str, machine: Machine, figures: Sequence[Measurement]) -> None:
    """Prints one part's figures for people."""
    where = f"{machine.cores} cores ({machine.processor}), {machine.memory_gib} GiB, Linux {machine.kernel}"
    print(f"\n{part}: {where}, load {machine.load_average}")
    width = max((len(figure.name) for figure in figures), default=0)
    for figure in figures:
        note = f"  ({figure.note})" if figure.note else ""
        print(f"  {figure.name:<{width}}  {figure.value:>10.1f} {figure.unit}{note}")


def _field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0" if path.name == "meminfo" else "unknown"
