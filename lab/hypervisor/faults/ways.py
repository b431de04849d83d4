"""Which faults ail the way between two ends: for whoever asks why a packet does not arrive."""

from collections.abc import Iterable

from lab.hypervisor.faults.fault import Fault, Scene
from lab.hypervisor.faults.network import AWS, INTERNET, PairFault, ZoneCut
from lab.hypervisor.faults.packets import loses_its_gateway


def ailing(faults: Iterable[Fault], scene: Scene, source: str, target: str) -> list[Fault]:
    """Those that touch packets from `source` to `target`, or their answers; ends are instance ids, `internet` or `aws`."""
    return [fault for fault in faults if _ails(fault, scene, source, target)]


def _ails(fault: Fault, scene: Scene, source: str, target: str) -> bool:
    if isinstance(fault, ZoneCut):
        return _cuts(fault.zone, scene, source, target)
    if isinstance(fault, PairFault):
        one, other = _ends(fault.source, scene), _ends(fault.target, scene)
        return (source in one and target in other) or (source in other and target in one)
    return False


def _cuts(zone: str, scene: Scene, source: str, target: str) -> bool:
    ends = [scene.machines.get(end) for end in (source, target)]
    inside = [machine is not None and machine.zone == zone for machine in ends]
    outwards = source in (INTERNET, AWS) or target in (INTERNET, AWS)
    return inside[0] != inside[1] or (outwards and any(machine and loses_its_gateway(machine, zone) for machine in ends))


def _ends(end: str, scene: Scene) -> set[str]:
    return {end} if end in (INTERNET, AWS) else {machine.instance_id for machine in scene.hosts(end)}
