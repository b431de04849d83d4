"""What the limits of each address cost a page: the same requests with every limit in force, but too high to be met, and with none.

The two take turns, by an `up` each, so that what else the machine does meets both alike.
"""

import tempfile
from pathlib import Path

from benchmarks.bench_lab import BenchLab
from benchmarks.figures import Figure
from benchmarks.requests import PATHS, REQUESTS, ROUNDS, WARM_UP, Sample, figures_of, send, ways_of

KINDS = {
    "limits": "loadBalancer.limits.exemptCidrs=[]",
    "no limits": "loadBalancer.limits.exemptCidrs=[0.0.0.0/0]",
}


def measure(lab: BenchLab) -> list[Figure]:
    """Rate, median and 99th percentile of a page and of a static file through the whole path. Raises BenchmarkError."""
    way = ways_of(lab)[0]
    samples = {(path, kind): Sample() for path in ("page", "static file") for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="webstack-bench-") as folder:
        log = Path(folder) / "requests.tsv"
        for _ in range(ROUNDS):
            for kind, setting in KINDS.items():
                lab.configure(setting)
                for path in ("page", "static file"):
                    send(way, PATHS[path], WARM_UP, log, Sample())
                    send(way, PATHS[path], REQUESTS[path], log, samples[path, kind])
    return [figure for (path, kind), sample in samples.items() for figure in figures_of(f"{path}, {kind}", sample)]
