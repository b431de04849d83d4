"""`python -m lab.provider`: the lab's `aws` and `random` providers, each on a port of its own, until SIGTERM."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from concurrent import futures
from importlib import metadata
from pathlib import Path
from typing import Final

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from lab.provider.api_client import DEADLINE_SECONDS, DEFAULT_DEBIAN_AMI, POLL_SECONDS, ApiClient, ClientCache, Credentials
from lab.provider.configuration import DEFAULT_REGION
from lab.provider.servicer import Servicer

WORKERS: Final = 32
"""More than the engine's concurrent calls (4 x its processors), so that a wait for a machine does not block others."""
_MESSAGE_BYTES: Final = 400 * 1024 * 1024
"""The engine's own limit."""


def serve(servicer: Servicer) -> tuple[grpc.Server, int]:
    """Starts a server on a free port of the loopback address; returns it and the port."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=WORKERS),
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM; calls in flight get 5 s to finish."""
    parser = argparse.ArgumentParser(prog="python -m lab.provider", description=__doc__)
    parser.add_argument("--endpoint", required=True, help="URL of the AWS API, e.g. http://127.0.0.1:5000")
    parser.add_argument("--ports-file", type=Path, help='where {"aws": PORT, "random": PORT} is written once both listen')
    parser.add_argument("--debian-ami", default=DEFAULT_DEBIAN_AMI, help="image id in Debian's public SSM parameter")
    parser.add_argument("--poll-seconds", type=float, default=POLL_SECONDS, help="seconds between two polls of a wait")
    parser.add_argument("--deadline-seconds", type=float, default=DEADLINE_SECONDS, help="seconds after which a wait fails")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine handles Ctrl-C, and needs its providers to end cleanly
    base = ApiClient(
        clients=ClientCache(options.endpoint),
        region=DEFAULT_REGION,
        credentials=Credentials.from_environment(),
        debian_ami=options.debian_ami,
        poll_seconds=options.poll_seconds,
        deadline_seconds=options.deadline_seconds,
    )
    running: list[grpc.Server] = []
    ports: dict[str, int] = {}
    for package in ("aws", "random"):
        server, ports[package] = serve(Servicer(package, metadata.version(f"pulumi-{package}"), base))
        running.append(server)
    if options.ports_file is not None:
        unfinished = options.ports_file.with_suffix(".new")
        unfinished.write_text(json.dumps(ports))
        unfinished.replace(options.ports_file)
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    stop.wait()
    for ending in [server.stop(grace=5) for server in running]:
        ending.wait()
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # a worker still in a wait must not hold the process
