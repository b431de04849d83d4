"""The API server as the lab runs it, once for all tests here, and a loop for the asynchronous services."""

import subprocess
import sys
import time
from collections.abc import Generator

import pytest

from tests.aws.cloud.support import LoopThread, Network, reset_moto


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of an API server that waits for machines to come to rest; public addresses are 198.18.7.1 to .6."""
    folder = tmp_path_factory.mktemp("api")
    port_file, log_file = folder / "port", folder / "log"
    command = [sys.executable, "-m", "lab.cloud.moto_server", "--port", "0", "--port-file", str(port_file)]
    with log_file.open("wb") as log:
        process = subprocess.Popen([*command, "--machines", "--public-range", "198.18.7.0/29"], stdout=log, stderr=log)
    while not (port_file.exists() and port_file.read_text().strip()):
        assert process.poll() is None, log_file.read_text()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    process.terminate()
    process.wait(10)


@pytest.fixture
def api(api_server: str) -> str:
    """The URL of an API server with nothing in it."""
    reset_moto(api_server)
    return api_server


@pytest.fixture
def loop() -> Generator[LoopThread]:
    """A running event loop."""
    running = LoopThread()
    yield running
    running.close()


@pytest.fixture
def network(api: str) -> Network:
    """A network in an API with nothing else in it."""
    return Network(api)
