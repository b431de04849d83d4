"""Gunicorn for the app; WEB_CONCURRENCY (worker processes) comes from the environment."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

bind = "unix:/run/webstack-app/gunicorn.sock"
umask = 0o007
worker_class = "gthread"
threads = 8
timeout = 30
graceful_timeout = 25
worker_tmp_dir = "/dev/shm"  # noqa: S108  Gunicorn's heartbeat files: in memory, or a busy disk kills healthy workers
forwarded_allow_ips = "*"  # only Nginx reaches the socket
control_socket_disable = True  # systemd manages it
accesslog = None  # Nginx logs requests
errorlog = "-"

# For reloads: the master keeps the environment that it was started with, but HUP runs this again (gunicorn/arbiter.py, `reload`).
_env_file = Path(os.environ.get("RUNTIME_DIRECTORY", "/run/webstack-app"), "environment.json")
raw_env = [f"{name}={value}" for name, value in json.loads(_env_file.read_text()).items()] if _env_file.exists() else []


def on_reload(server: Any) -> None:
    """Keeps the old workers until new ones have loaded the app. By default Gunicorn ends them at once, and no one answers meanwhile."""
    server.old_workers = sorted(server.WORKERS)
    server.age_before = server.worker_age
    server.num_workers += len(server.old_workers)


def post_fork(server: Any, worker: Any) -> None:
    """Tells each new worker which old ones it replaces."""
    rank = worker.age - getattr(server, "age_before", worker.age) - 1
    worker.replaces = server.old_workers[rank :: server.cfg.workers] if 0 <= rank < server.cfg.workers else []


def post_worker_init(worker: Any) -> None:
    """Once a new worker has loaded the app, ends the old ones, which first finish their requests."""
    for old in worker.replaces:
        with suppress(ProcessLookupError):
            os.kill(old, signal.SIGTERM)


def child_exit(server: Any, worker: Any) -> None:
    """Keeps Gunicorn from starting a replacement for an old worker."""
    if worker.pid in getattr(server, "old_workers", ()):
        server.old_workers.remove(worker.pid)
        server.num_workers -= 1
