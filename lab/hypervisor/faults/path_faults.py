"""Which faults ail the way between two ends: for whoever asks why a packet does not arrive."""

from collections.abc import Iterable

from lab.hypervisor.faults.fault import Fault, LabSnapshot
from lab.hypervisor.faults.network import AWS, INTERNET, PairFault, ZonePartition
from lab.hypervisor.faults.packet_drops import loses_nat_gateway


def faults_on_path(faults: Iterable[Fault], snapshot: LabSnapshot, source: str, target: str) -> list[Fault]:
    """Those that touch packets from `source` to `target`, or their answers; ends are instance ids, `internet` or `aws`."""
    return [fault for fault in faults if _affects_path(fault, snapshot, source, target)]


def _affects_path(fault: Fault, snapshot: LabSnapshot, source: str, target: str) -> bool:
    if isinstance(fault, ZonePartition):
        return _partition_affects(fault.zone, snapshot, source, target)
    if isinstance(fault, PairFault):
        one, other = _endpoint_ids(fault.source, snapshot), _endpoint_ids(fault.target, snapshot)
        return (source in one and target in other) or (source in other and target in one)
    return False


def _partition_affects(zone: str, snapshot: LabSnapshot, source: str, target: str) -> bool:
    ends = [snapshot.machines.get(end) for end in (source, target)]
    inside = [machine is not None and machine.zone == zone for machine in ends]
    outwards = source in (INTERNET, AWS) or target in (INTERNET, AWS)
    return inside[0] != inside[1] or (outwards and any(machine and loses_nat_gateway(machine, zone) for machine in ends))


def _endpoint_ids(end: str, snapshot: LabSnapshot) -> set[str]:
    return {end} if end in (INTERNET, AWS) else {machine.instance_id for machine in snapshot.hosts(end)}
