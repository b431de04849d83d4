"""What TLS between load balancer and web hosts costs a page: the same requests with it and, for the measurement alone, without.

The two take turns, so that what else the machine does meets both alike.
"""

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from benchmarks.bench_lab import BenchLab
from benchmarks.http_load import PATHS, REQUESTS, ROUNDS, WARM_UP, Sample, run_h2load, summarize, targets
from benchmarks.results import Measurement

WEB_HOSTS = ("web-1", "web-2")
BALANCER = "lb-1"
VARIANTS = ("TLS inside", "clear inside")
REQUEST_KINDS = ("page", "static file")
NGINX, HAPROXY = "/etc/nginx/nginx.conf", "/etc/haproxy/haproxy.cfg"

_WAIT_FOR_SERVERS = (
    'until [ "$(echo show stat | socat - /run/haproxy/admin.sock | grep -c "^web,web.*,UP,")" = 2 ]; do sleep 0.2; done; sleep 2'
)


def measure(lab: BenchLab) -> list[Measurement]:
    """Rate, median and 99th percentile of a page and of a static file through the whole path. Raises BenchmarkError."""
    way = targets(lab)[0]
    samples = {(path, kind): Sample() for path in REQUEST_KINDS for kind in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="webstack-bench-") as folder:
        log = Path(folder) / "requests.tsv"

        def once(kind: str) -> None:
            for path in REQUEST_KINDS:
                run_h2load(way, PATHS[path], WARM_UP, log, Sample())
                run_h2load(way, PATHS[path], REQUESTS[path], log, samples[path, kind])

        for _ in range(ROUNDS):
            once(VARIANTS[0])
            with _without_tls(lab):
                once(VARIANTS[1])
    return [figure for (path, kind), sample in samples.items() for figure in summarize(f"{path}, {kind}", sample)]


@contextlib.contextmanager
def _without_tls(lab: BenchLab) -> Generator[None]:
    """Takes TLS away from both sides, and puts it back. What would do so by itself waits meanwhile."""
    lab.run_on(BALANCER, "systemctl", "stop", "webstack-reconfigure.service")
    try:
        _switch(lab, nginx=("ssl ", ""), haproxy=("", "# "))
        yield
    finally:
        _switch(lab, nginx=("", "ssl "), haproxy=("# ", ""))
        lab.run_on(BALANCER, "systemctl", "start", "webstack-reconfigure.service")


def _switch(lab: BenchLab, *, nginx: tuple[str, str], haproxy: tuple[str, str]) -> None:
    """Changes what stands before a word of each configuration, from the one to the other.

    HAProxy is not reloaded but restarted: what a worker hands to the next says of each server whether it is spoken to by TLS
    (srv_use_ssl; HAProxy's management guide, "show servers state").
    """
    for host in WEB_HOSTS:
        lab.run_on(host, "sed", "-i", f"s/listen 8443 {nginx[0]}default_server/listen 8443 {nginx[1]}default_server/", NGINX)
        lab.run_on(host, "systemctl", "reload", "nginx")
    lab.run_on(BALANCER, "sed", "-i", f"s/^  {haproxy[0]}default-server ssl/  {haproxy[1]}default-server ssl/", HAPROXY)
    lab.run_on(BALANCER, "systemctl", "restart", "haproxy")
    lab.run_on(BALANCER, "sh", "-c", _WAIT_FOR_SERVERS)
