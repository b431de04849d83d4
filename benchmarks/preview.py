"""A preview where nothing is to change: what a person waits for most often."""

import statistics
import time

from benchmarks.bench_lab import BenchLab
from benchmarks.results import Measurement

ROUNDS = 3

CHANGES = ("to create", "to update", "to replace", "to delete")
"""How the lines of the engine's summary end that tell of changes."""


def measure(lab: BenchLab) -> list[Measurement]:
    """The median time of the command. A plan that is not empty is told in the note. Raises BenchmarkError."""
    times: list[float] = []
    changes = ""
    for _ in range(ROUNDS):
        began = time.monotonic()
        plan = lab.command("preview")
        times.append(time.monotonic() - began)
        # Told with the figure: it is then no preview of nothing.
        changes = ", ".join(line.strip() for line in plan.splitlines() if line.strip().endswith(CHANGES)) or changes
    note = f"median of {ROUNDS}, the whole command" + (f"; NOT without a change: {changes}" if changes else "")
    return [Measurement(name="preview without a change", value=statistics.median(times), unit="s", note=note)]
