"""A preview where nothing is to change: what a person waits for most often."""

import statistics
import time

from benchmarks.bench_lab import BenchLab, BenchmarkError
from benchmarks.figures import Figure

ROUNDS = 3


def measure(lab: BenchLab) -> list[Figure]:
    """The median time of the command. Raises BenchmarkError where the plan is not empty."""
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        plan = lab.command("preview")
        times.append(time.monotonic() - began)
        if any(word in plan for word in ("to create", "to update", "to replace", "to delete")):
            raise BenchmarkError(f"the preview was to change nothing:\n{plan[-3000:]}")
    return [
        Figure(name="preview without a change", value=statistics.median(times), unit="s", note=f"median of {ROUNDS}, the whole command")
    ]
