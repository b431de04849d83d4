"""A stand-in for Pulumi's AWS and random plugins: what the engine starts from the plugins folder, as it would the real ones.

It answers as the lab's provider does, and writes down what it was configured with and which of the user's variables reached it.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from lab.provider.__main__ import serve
from lab.provider.api_client import ApiClient, ClientCache
from lab.provider.configuration import DEFAULT_REGION
from lab.provider.servicer import Servicer

_SCRIPT = """#!/bin/sh
PYTHONPATH={repository} exec {python} -m tests.aws.fake_plugin {name} {version} {folder}
"""


class FakePlugin(Servicer):
    """The lab's servicer, whose configuration is written down."""

    record_file: Path

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        """Writes down what the engine sends."""
        environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        self.record_file.write_text(json.dumps({"arguments": json_format.MessageToDict(request.args), "environment": environment}))
        return super().Configure(request, context)


def install(plugins: Path, name: str, version: str, repository: Path) -> Path:
    """Puts a stand-in where `pulumi plugin install` puts a plugin; gives its folder."""
    folder = plugins / f"resource-{name}-v{version}"
    folder.mkdir(parents=True)
    program = folder / f"pulumi-resource-{name}"
    program.write_text(_SCRIPT.format(repository=repository, python=sys.executable, name=name, version=version, folder=folder))
    program.chmod(0o755)
    return folder


def main(name: str, version: str, folder: str) -> None:
    """Serves until it is ended, as a plugin does: its port is its first line."""
    base = ApiClient(
        clients=ClientCache(os.environ["AWS_ENDPOINT_URL"]),
        region=DEFAULT_REGION,
        poll_seconds=0.1,
        deadline_seconds=60,
    )
    servicer = FakePlugin(name, version, base)
    servicer.record_file = Path(folder) / "configured.json"
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = os.getppid()
    _, port = serve(servicer)
    print(port, flush=True)
    while not ended.wait(0.5) and os.getppid() == engine:
        pass
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:4])
