"""One lab without a stack for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.lab.bare.machines import BareLab, Host, bare_lab
from tests.lab.conftest import ARTEFACTS, keep_logs


@pytest.fixture(scope="package")
def bare(request: pytest.FixtureRequest) -> Iterator[BareLab]:
    """The lab; after a failure what its hosts and daemon said is kept under build/lab/."""
    failed_before = request.session.testsfailed
    with bare_lab() as started:
        yield started
        if request.session.testsfailed > failed_before:
            keep_logs(started.lab, ARTEFACTS / "bare")


@pytest.fixture(scope="package")
def pair(bare: BareLab) -> tuple[Host, Host]:
    """Two hosts of one zone, booted side by side."""
    return bare.launch(), bare.launch()


@pytest.fixture
def host(bare: BareLab, pair: tuple[Host, Host]) -> Host:
    """A host that runs, whatever the last test did to it."""
    host, _ = pair
    if host.state() == "stopped":
        bare.ec2.start_instances(InstanceIds=[host.instance_id])
    host.wait_until_up()
    return host


@pytest.fixture
def peer(pair: tuple[Host, Host]) -> Host:
    """The other host, which keeps running."""
    _, peer = pair
    peer.wait_until_up()
    return peer
