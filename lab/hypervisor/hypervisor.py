"""Makes machines of the API's instances, and keeps both the same: reads the API after each change, and hands each keeper its wish."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from botocore.config import Config

from lab.hypervisor import conntrack, router, volumes
from lab.hypervisor.conntrack import Holders, Moved
from lab.hypervisor.desired import DesiredMachine, DesiredState, Nat, Power, overlapping
from lab.hypervisor.faults.fault import Effector
from lab.hypervisor.faults.machines import Brakes, Fillers, Freezer
from lab.hypervisor.faults.packets import Packets
from lab.hypervisor.faults.queues import Queues, kernel_lacks
from lab.hypervisor.faults.registry import Active, Faults
from lab.hypervisor.firewall.enforcer import Enforcer
from lab.hypervisor.firewall.facts import Interface
from lab.hypervisor.firewall.reader import RulebookReader
from lab.hypervisor.firewall.ruleset import Surfaces
from lab.hypervisor.interface import MachineReports, RouterNamespace
from lab.hypervisor.keeper import POWER_OFF_AFTER, Keeper, Surroundings
from lab.hypervisor.reader import Reader
from lab.names import LabNames
from lab.sessions import administrator

_TRY_AGAIN_AFTER = 2.0
"""Seconds after which an API that did not answer is asked again."""

_READ_EVERY = 0.2
"""Seconds between two readings of the API at the least: a busy client's hundred calls a second are not each worth eight of ours."""

_FOLLOWED_WITHIN = 15.0
"""Seconds until the first reading of the API, on a busy machine too."""

_RULES_ALONE = "SecurityGroup"
"""Part of the names of calls that change no machine, only what may pass between them."""

log = logging.getLogger(__name__)


class Hypervisor:
    """The machines of one lab. Lives in the daemon's event loop."""

    def __init__(
        self,
        names: LabNames,
        *,
        cloud: MachineReports,
        image_for: Callable[[str], Path],
        power_off_after: float = POWER_OFF_AFTER,
        effectors: Sequence[Effector] = (),
    ) -> None:
        """`effectors` make faults real that lie outside the machines and their network."""
        self.names = names
        self.state = DesiredState()
        """The API as last read."""
        self.keepers: dict[str, Keeper] = {}
        self.problem: str | None = None
        """Why the API could not be read or the router not be set, for people."""
        self._reader = Reader(names.moto_address)
        self._regions = set[str]()
        self.firewall = Enforcer(
            Surfaces(wan=router.WAN, endpoints=(names.api_address, names.s3_address)), functools.partial(router.load_rules, names)
        )
        self.faults = Faults(names, [*_network_effectors(names), Freezer(), Fillers(), Brakes(), *effectors])
        self._rulebooks = RulebookReader(self._reader, s3_address=names.s3_address)
        self._wake = asyncio.Event()
        self._machines_changed = True
        self._holders = Holders()
        self._read_at = 0.0
        self._rules: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._followed = asyncio.Event()
        self._endings = set[asyncio.Task[None]]()
        self._around = Surroundings(
            names=names,
            cloud=cloud,
            image_for=image_for,
            refresh=self.refresh,
            booting=self.faults.booting,
            power_off_after=power_off_after,
        )

    async def set_up_router(self) -> RouterNamespace:
        """Makes the router; the cloud's services listen in it."""
        await asyncio.to_thread(router.set_up, self.names)
        return RouterNamespace(name=self.names.router_netns)

    async def start(self, regions: Iterable[str]) -> None:
        """Adopts what an earlier daemon left running, and begins to follow the API, which must answer by now.

        `regions` are those in which there may be something already; others are heard of by `changed`.
        """
        self._regions.update(regions)
        self.names.machines_dir.mkdir(parents=True, exist_ok=True)
        for folder in sorted(self.names.machines_dir.iterdir()):
            await self._keeper(folder.name)
        for fault in self.faults.active:
            self._end_in_time(fault)
        self.refresh()
        self._task = asyncio.create_task(self._follow(), name="hypervisor")

    async def stop(self) -> None:
        """Stops following; the machines run on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for ending in self._endings:
            ending.cancel()
        await asyncio.gather(*(keeper.stop() for keeper in self.keepers.values()))

    def changed(self, *, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
        """Hears of a call that may have changed something; see `interface.ChangeListener`."""
        if service != "ec2":
            return
        self._regions.add(region)
        if action == "RebootInstances":
            for key, value in parameters.items():
                if key.startswith("InstanceId.") and value in self.keepers:
                    self.keepers[value].reboot()
        if action == "DetachVolume" and parameters.get("Force", "").lower() == "true":
            for keeper in self.keepers.values():
                if parameters.get("VolumeId") in keeper.volumes:
                    keeper.force_detach(parameters["VolumeId"])
        if _RULES_ALONE in action:
            self._wake.set()
        else:
            self.refresh()

    def refresh(self) -> None:
        """Has the API read again."""
        self._machines_changed = True
        self._wake.set()

    def find(self, wanted: str) -> Keeper:
        """The keeper of a host by its name or instance id; of several of a name the one that stays. `LookupError` names what there is."""
        found = [keeper for keeper in self.keepers.values() if keeper.desired and wanted in (keeper.instance_id, keeper.desired.name)]
        if not found:
            known = ", ".join(sorted(keeper.desired.name for keeper in self.keepers.values() if keeper.desired)) or "none"
            raise LookupError(f"host {wanted!r}: this lab has no such host. Hosts: {known}")
        return min(found, key=lambda keeper: keeper.desired is None or keeper.desired.power is Power.GONE)

    async def stop_host(self, keeper: Keeper) -> None:
        """StopInstances, through the API's door as anybody would: a fault of the API strikes it."""
        if keeper.desired:
            await asyncio.to_thread(self._call, "stop_instances", keeper.desired.region, keeper.instance_id)

    async def start_host(self, keeper: Keeper) -> None:
        """Lets a killed machine boot again; StartInstances for one that was stopped."""
        if keeper.power_on() or not keeper.desired:
            return
        await asyncio.to_thread(self._call, "start_instances", keeper.desired.region, keeper.instance_id)

    def _call(self, operation: str, region: str, instance_id: str) -> None:
        config = Config(retries={"total_max_attempts": 5}, connect_timeout=5, read_timeout=30)
        getattr(administrator(self.names).client("ec2", region, config), operation)(InstanceIds=[instance_id])

    async def give_fault(self, description: Mapping[str, Any], seconds: float | None) -> Active:
        """Puts a fault on; one with an end is taken back then. Raises FaultError."""
        await self._wait_for_hosts()
        given = await asyncio.to_thread(self.faults.give, description, seconds)
        self._end_in_time(given)
        return given

    async def take_back_faults(self, *fault_ids: str) -> list[Active]:
        """Ends faults, all if none is named; those that were ended. Raises FaultError."""
        await self._wait_for_hosts()
        return await asyncio.to_thread(self.faults.take_back, *fault_ids)

    async def _wait_for_hosts(self) -> None:
        """Waits a while: a daemon that has just started first hears from the API which hosts there are."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._followed.wait(), _FOLLOWED_WITHIN)

    def _end_in_time(self, fault: Active) -> None:
        if fault.until is not None:
            ending = asyncio.create_task(self._end_at(fault.fault_id, fault.until), name=f"end of fault {fault.fault_id}")
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def _end_at(self, fault_id: str, until: float) -> None:
        await asyncio.sleep(max(0.0, until - time.time()))
        await self._followed.wait()
        while self.faults.is_on(fault_id):
            try:
                await asyncio.to_thread(self.faults.take_back, fault_id)
            except Exception:
                if self.faults.is_on(fault_id):  # otherwise somebody was quicker
                    log.exception("%s: its time is over, and it cannot be taken back yet", fault_id)
                    await asyncio.sleep(_TRY_AGAIN_AFTER)

    async def _keeper(self, instance_id: str) -> Keeper:
        if instance_id not in self.keepers:
            keeper = Keeper(self._around, instance_id)
            self.keepers[instance_id] = keeper
            await keeper.start()
        return self.keepers[instance_id]

    async def _follow(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(0.0, self._read_at + _READ_EVERY - time.monotonic()))
            self._wake.clear()
            self._read_at = time.monotonic()
            machines_too, self._machines_changed = self._machines_changed, False
            try:
                if machines_too:
                    self.state = await asyncio.to_thread(self._read)
                    await self._set_router()
                    await asyncio.to_thread(self.faults.follow, self.state.machines)
                    self._followed.set()
                await asyncio.to_thread(self._set_firewall)  # before any machine boots that it is to be around
                if machines_too:
                    await self._hand_out()
                    await asyncio.to_thread(self._drop_volumes)
                self.problem = None
            except Exception as error:
                self.problem = str(error)
                log.exception("could not follow the API")
                asyncio.get_running_loop().call_later(_TRY_AGAIN_AFTER, self.refresh)

    def _read(self) -> DesiredState:
        state = self._reader.read(self._regions)
        local = router.local_networks(self.names)
        return DesiredState(
            machines={instance_id: _checked(machine, local) for instance_id, machine in state.machines.items()},
            volume_ids=state.volume_ids,
        )

    async def _set_router(self) -> None:
        rules = router.translation_rules(self.names, Nat.of(self.state.machines))
        if rules != self._rules:
            await asyncio.to_thread(router.load_rules, self.names, rules)
            self._rules = rules
        holders = _holders(self.state.machines)
        moved = Moved.between(self._holders, holders)
        if moved:
            count = await asyncio.to_thread(conntrack.forget, self.names.router_netns, moved)
            log.info("addresses moved: %s; connections ended: %d", ", ".join(map(str, sorted(moved.addresses))) or "ways out", count)
        self._holders = holders

    def _set_firewall(self) -> None:
        self.firewall.enforce(self._rulebooks.read(self._regions), _interfaces(self.names, self.state.machines))

    async def _hand_out(self) -> None:
        for instance_id, machine in self.state.machines.items():
            if instance_id in self.keepers or machine.power is not Power.GONE or machine.state != "terminated":
                (await self._keeper(instance_id)).want(machine)
        for instance_id, keeper in list(self.keepers.items()):
            if instance_id not in self.state.machines:
                keeper.want(None)
            if keeper.gone:
                await keeper.stop()
                del self.keepers[instance_id]

    def _drop_volumes(self) -> None:
        folder = self.names.volume_file("x").parent
        for file in folder.glob("vol-*.img") if folder.is_dir() else ():
            if file.stem not in self.state.volume_ids and not any(file.stem in keeper.volumes for keeper in self.keepers.values()):
                volumes.detach(file)  # a daemon that was killed may have left its loop device
                file.unlink()


def _network_effectors(names: LabNames) -> list[Effector]:
    load = functools.partial(router.load_rules, names)
    return [Packets(load), Queues(load, functools.partial(router.traffic_control, names), kernel_lacks)]


def _present(machines: Mapping[str, DesiredMachine]) -> dict[str, tuple[DesiredMachine, IPv4Address]]:
    """The machines that have an address, with it; one that is leaving has it until it is off."""
    return {
        instance_id: (machine, machine.address.ip)
        for instance_id, machine in machines.items()
        if machine.address and machine.present and not machine.problem
    }


def _holders(machines: Mapping[str, DesiredMachine]) -> Holders:
    present = _present(machines)
    private = {address: instance_id for instance_id, (_, address) in present.items()}
    public = {machine.public_address: instance_id for instance_id, (machine, _) in present.items() if machine.public_address}
    exits = {address: machine.exit_address for machine, address in present.values() if machine.exit_address}
    return Holders(instances=private | public, exits=exits)


def _interfaces(names: LabNames, machines: Mapping[str, DesiredMachine]) -> list[Interface]:
    return [
        Interface(
            host=machine.name,
            instance_id=instance_id,
            link=names.router_link(instance_id),
            address=address,
            group_ids=machine.group_ids,
        )
        for instance_id, (machine, address) in _present(machines).items()
    ]


def _checked(machine: DesiredMachine, local: list[IPv4Network]) -> DesiredMachine:
    """The machine with its problem, if its subnet cannot be told apart from a network of this machine's own."""
    clash = overlapping(machine.address, local) if machine.address else None
    if clash is None or machine.problem:
        return machine
    return replace(machine, problem=f"its subnet overlaps this machine's own network {clash}: choose another network for the stack")
