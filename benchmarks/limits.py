"""What the limits of each address cost a page: the same requests with every limit in force, but too high to be met, and with none.

The two take turns, by an `up` each, so that what else the machine does meets both alike.
"""

import tempfile
from pathlib import Path

from benchmarks.bench_lab import BenchLab
from benchmarks.http_load import PATHS, REQUESTS, ROUNDS, WARM_UP, Sample, run_h2load, summarize, targets
from benchmarks.results import Measurement

VARIANTS = {
    "limits": "loadBalancer.limits.exemptCidrs=[]",
    "no limits": "loadBalancer.limits.exemptCidrs=[0.0.0.0/0]",
}


def measure(lab: BenchLab) -> list[Measurement]:
    """Rate, median and 99th percentile of a page and of a static file through the whole path. Raises BenchmarkError."""
    way = targets(lab)[0]
    samples = {(path, kind): Sample() for path in ("page", "static file") for kind in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="webstack-bench-") as folder:
        log = Path(folder) / "requests.tsv"
        for _ in range(ROUNDS):
            for kind, setting in VARIANTS.items():
                lab.configure(setting)
                for path in ("page", "static file"):
                    run_h2load(way, PATHS[path], WARM_UP, log, Sample())
                    run_h2load(way, PATHS[path], REQUESTS[path], log, samples[path, kind])
    return [figure for (path, kind), sample in samples.items() for figure in summarize(f"{path}, {kind}", sample)]
