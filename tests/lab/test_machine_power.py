"""StopInstances, StartInstances, RebootInstances and TerminateInstances act on real machines, and a pulled plug is no stop."""

from collections.abc import Iterator

import pytest

from tests.lab.bare_lab import SLOW_TO_STOP, BareLab, bare_lab

MARKER = "/var/lib/marker"


@pytest.fixture(scope="module")
def bare() -> Iterator[BareLab]:
    with bare_lab() as lab:
        yield lab


def test_a_stopped_host_shuts_down_in_order_and_starts_with_its_root_disk(bare: BareLab) -> None:
    host = bare.launch()
    host.until_up()
    host.add_unit("slow", SLOW_TO_STOP.format(seconds=2, marker=MARKER))
    boot = host.boot_id()
    with host.watched() as states:
        bare.ec2.stop_instances(InstanceIds=[host.instance_id])
        took = host.until("stopped")
    assert states == ["running", "stopping", "stopped"]
    assert took > 2, "it is stopping for as long as its services need"
    with host.watched() as states:
        bare.ec2.start_instances(InstanceIds=[host.instance_id])
        host.until_up()
    assert states == ["stopped", "pending", "running"]
    assert host.run(f"cat {MARKER}") == "stopped in order"
    assert host.boot_id() != boot
