"""Reconciles the machines with EC2's state: reads it from the API after each change and passes each reconciler its desired state."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from botocore.config import Config

from lab.aws_clients import admin_clients
from lab.call_effects import CallFault
from lab.hypervisor import conntrack, router, volumes
from lab.hypervisor.conntrack import AddressChange, AddressOwners
from lab.hypervisor.desired import DesiredMachine, DesiredState, NatTable, Power, overlapping
from lab.hypervisor.faults import catalog
from lab.hypervisor.faults.fault import InjectorContext
from lab.hypervisor.faults.registry import ActiveFault, FaultRegistry
from lab.hypervisor.firewall.enforcer import Enforcer
from lab.hypervisor.firewall.model import NetworkInterface
from lab.hypervisor.firewall.reader import SecurityGroupReader
from lab.hypervisor.firewall.ruleset import RouterSide
from lab.hypervisor.protocols import MachineStatusReporter, RouterNamespace
from lab.hypervisor.reconciler import SHUTDOWN_TIMEOUT, MachineReconciler, ReconcilerContext
from lab.hypervisor.state_reader import Ec2StateReader
from lab.names import WAN, LabNames

_RETRY_SECONDS = 2.0
"""Seconds until a failed reading of the API is repeated."""

_MIN_READ_INTERVAL = 0.2
"""Least seconds between two readings of the API: a busy client makes a hundred calls a second, and a reading takes eight."""

_FIRST_SYNC_TIMEOUT = 15.0
"""Seconds that the first reading of the API may take, even on a busy machine."""

_FIREWALL_ONLY_ACTION = "SecurityGroup"
"""Contained in the names of calls that change only the firewall, not machines."""

log = logging.getLogger(__name__)


class Hypervisor:
    """The machines of one lab. Lives in the daemon's event loop."""

    def __init__(
        self,
        names: LabNames,
        *,
        status_reporter: MachineStatusReporter,
        image_for: Callable[[str], Path],
        set_api_faults: Callable[[Sequence[CallFault]], None],
        shutdown_timeout: float = SHUTDOWN_TIMEOUT,
    ) -> None:
        """`set_api_faults` passes the API gateway its faults."""
        self.names = names
        self.state = DesiredState()
        """The API as last read."""
        self.reconcilers: dict[str, MachineReconciler] = {}
        self.problem: str | None = None
        """Why the API could not be read or the router not be configured, for people."""
        self._reader = Ec2StateReader(names.moto_address)
        self._regions = set[str]()
        load_rules = functools.partial(router.load_rules, names)
        self.firewall = Enforcer(RouterSide(wan=WAN, endpoints=(names.api_address, names.s3_address)), load_rules)
        context = InjectorContext(load_rules=load_rules, run_tc=functools.partial(router.run_tc, names), set_api_faults=set_api_faults)
        self.faults = FaultRegistry(names, catalog.create_injectors(context))
        self._group_reader = SecurityGroupReader(self._reader, s3_address=names.s3_address)
        self._wake = asyncio.Event()
        self._machines_changed = True
        self._address_owners = AddressOwners()
        self._read_at = 0.0
        self._nat_rules: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._first_sync = asyncio.Event()
        self._expiry_tasks = set[asyncio.Task[None]]()
        self._context = ReconcilerContext(
            names=names,
            status_reporter=status_reporter,
            image_for=image_for,
            refresh=self.refresh,
            before_boot=self.faults.before_boot,
            shutdown_timeout=shutdown_timeout,
        )

    async def set_up_router(self) -> RouterNamespace:
        """Makes the router, in which the cloud's services listen."""
        await asyncio.to_thread(router.set_up, self.names)
        return RouterNamespace(name=self.names.router_netns)

    async def start(self, regions: Iterable[str]) -> None:
        """Adopts machines that an earlier daemon left running and starts following the API, which must already answer.

        `regions` are those that may already contain resources; `on_api_change` adds others.
        """
        self._regions.update(regions)
        self.names.machines_dir.mkdir(parents=True, exist_ok=True)
        for folder in sorted(self.names.machines_dir.iterdir()):
            await self._reconciler_for(folder.name)
        for fault in self.faults.active:
            self._schedule_expiry(fault)
        self.refresh()
        self._task = asyncio.create_task(self._reconcile_loop(), name="hypervisor")

    async def stop(self) -> None:
        """Stops following the API. The machines keep running."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for ending in self._expiry_tasks:
            ending.cancel()
        await asyncio.gather(*(reconciler.stop() for reconciler in self.reconcilers.values()))

    def on_api_change(self, *, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
        """Called after each API call that may have changed something; see `lab.hypervisor.protocols.ChangeListener`."""
        if service != "ec2":
            return
        self._regions.add(region)
        if action == "RebootInstances":
            for key, value in parameters.items():
                if key.startswith("InstanceId.") and value in self.reconcilers:
                    self.reconcilers[value].reboot()
        if action == "DetachVolume" and parameters.get("Force", "").lower() == "true":
            for reconciler in self.reconcilers.values():
                if parameters.get("VolumeId") in reconciler.volumes:
                    reconciler.force_detach(parameters["VolumeId"])
        if _FIREWALL_ONLY_ACTION in action:
            self._wake.set()
        else:
            self.refresh()

    def refresh(self) -> None:
        """Requests another reading of the API."""
        self._machines_changed = True
        self._wake.set()

    def find(self, name_or_id: str) -> MachineReconciler:
        """Returns the reconciler of a host by name or instance id; if several have the name, of the one that is not being terminated.

        Raises LookupError, which lists the lab's hosts.
        """
        found = [
            reconciler
            for reconciler in self.reconcilers.values()
            if reconciler.desired and name_or_id in (reconciler.instance_id, reconciler.desired.name)
        ]
        if not found:
            known = ", ".join(sorted(one.desired.name for one in self.reconcilers.values() if one.desired)) or "none"
            raise LookupError(f"host {name_or_id!r}: this lab has no such host. Hosts: {known}")
        return min(found, key=lambda one: one.desired is None or one.desired.power is Power.GONE)

    async def stop_host(self, reconciler: MachineReconciler) -> None:
        """Calls StopInstances through the API gateway like any client, so API faults affect it."""
        if reconciler.desired:
            await asyncio.to_thread(self._call, "stop_instances", reconciler.desired.region, reconciler.instance_id)

    async def start_host(self, reconciler: MachineReconciler) -> None:
        """Boots a killed machine again, or calls StartInstances for a stopped one."""
        if reconciler.power_on() or not reconciler.desired:
            return
        await asyncio.to_thread(self._call, "start_instances", reconciler.desired.region, reconciler.instance_id)

    def _call(self, operation: str, region: str, instance_id: str) -> None:
        config = Config(retries={"total_max_attempts": 5}, connect_timeout=5, read_timeout=30)
        getattr(admin_clients(self.names).client("ec2", region, config), operation)(InstanceIds=[instance_id])

    async def inject_fault(self, description: object, seconds: float | None) -> ActiveFault:
        """Injects a fault and, if `seconds` is given, clears it after that time. Raises FaultError."""
        await self._wait_for_first_sync()
        given = await asyncio.to_thread(self.faults.inject, description, seconds)
        self._schedule_expiry(given)
        return given

    async def clear_faults(self, *fault_ids: str) -> list[ActiveFault]:
        """Clears these faults, or all if none is named, and returns them. Raises FaultError."""
        await self._wait_for_first_sync()
        return await asyncio.to_thread(self.faults.clear, *fault_ids)

    async def _wait_for_first_sync(self) -> None:
        """Waits for the first reading of the API, since a daemon that has just started knows no hosts before it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_sync.wait(), _FIRST_SYNC_TIMEOUT)

    def _schedule_expiry(self, fault: ActiveFault) -> None:
        if fault.expires_at is not None:
            ending = asyncio.create_task(self._clear_at(fault.fault_id, fault.expires_at), name=f"end of fault {fault.fault_id}")
            self._expiry_tasks.add(ending)
            ending.add_done_callback(self._expiry_tasks.discard)

    async def _clear_at(self, fault_id: str, expires_at: float) -> None:
        await asyncio.sleep(max(0.0, expires_at - time.time()))
        await self._first_sync.wait()
        while self.faults.is_active(fault_id):
            try:
                await asyncio.to_thread(self.faults.clear, fault_id)
            except Exception:
                if self.faults.is_active(fault_id):  # otherwise it was cleared meanwhile
                    log.exception("%s: its time is over, but it could not be cleared yet", fault_id)
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _reconciler_for(self, instance_id: str) -> MachineReconciler:
        if instance_id not in self.reconcilers:
            reconciler = MachineReconciler(self._context, instance_id)
            self.reconcilers[instance_id] = reconciler
            await reconciler.start()
        return self.reconcilers[instance_id]

    async def _reconcile_loop(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(0.0, self._read_at + _MIN_READ_INTERVAL - time.monotonic()))
            self._wake.clear()
            self._read_at = time.monotonic()
            machines_too, self._machines_changed = self._machines_changed, False
            try:
                if machines_too:
                    self.state = await asyncio.to_thread(self._read)
                    await self._apply_nat()
                    await asyncio.to_thread(self.faults.sync, self.state.machines)
                    self._first_sync.set()
                await asyncio.to_thread(self._apply_firewall)  # before machines boot behind it
                if machines_too:
                    await self._set_desired_states()
                    await asyncio.to_thread(self._delete_orphaned_volumes)
                self.problem = None
            except Exception as error:
                self.problem = str(error)
                log.exception("could not follow the API")
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self.refresh)

    def _read(self) -> DesiredState:
        state = self._reader.read(self._regions)
        local = router.local_networks(self.names)
        return DesiredState(
            machines={instance_id: _with_overlap_problem(machine, local) for instance_id, machine in state.machines.items()},
            volume_ids=state.volume_ids,
        )

    async def _apply_nat(self) -> None:
        rules = router.nat_rules(self.names, NatTable.for_machines(self.state.machines))
        if rules != self._nat_rules:
            await asyncio.to_thread(router.load_rules, self.names, rules)
            self._nat_rules = rules
        holders = _owners_of_addresses(self.state.machines)
        moved = AddressChange.between(self._address_owners, holders)
        if moved:
            count = await asyncio.to_thread(conntrack.flush_connections, self.names.router_netns, moved)
            log.info("addresses moved: %s; connections ended: %d", ", ".join(map(str, sorted(moved.addresses))) or "ways out", count)
        self._address_owners = holders

    def _apply_firewall(self) -> None:
        self.firewall.enforce(self._group_reader.read(self._regions), _interfaces(self.names, self.state.machines))

    async def _set_desired_states(self) -> None:
        for instance_id, machine in self.state.machines.items():
            if instance_id in self.reconcilers or machine.power is not Power.GONE or machine.state != "terminated":
                (await self._reconciler_for(instance_id)).set_desired(machine)
        for instance_id, reconciler in list(self.reconcilers.items()):
            if instance_id not in self.state.machines:
                reconciler.set_desired(None)
            if reconciler.gone:
                await reconciler.stop()
                del self.reconcilers[instance_id]

    def _delete_orphaned_volumes(self) -> None:
        folder = self.names.volume_file("x").parent
        for file in folder.glob("vol-*.img") if folder.is_dir() else ():
            if file.stem not in self.state.volume_ids and not any(
                file.stem in reconciler.volumes for reconciler in self.reconcilers.values()
            ):
                volumes.detach(file)  # a killed daemon may have left its loop device
                file.unlink()


def _with_address(machines: Mapping[str, DesiredMachine]) -> dict[str, tuple[DesiredMachine, IPv4Address]]:
    """Returns the machines that have an address, and the address. A machine being terminated keeps it until it is off."""
    return {
        instance_id: (machine, machine.address.ip)
        for instance_id, machine in machines.items()
        if machine.address and machine.present and not machine.problem
    }


def _owners_of_addresses(machines: Mapping[str, DesiredMachine]) -> AddressOwners:
    present = _with_address(machines)
    private = {address: instance_id for instance_id, (_, address) in present.items()}
    public = {machine.public_address: instance_id for instance_id, (machine, _) in present.items() if machine.public_address}
    exits = {address: machine.egress_address for machine, address in present.values() if machine.egress_address}
    return AddressOwners(instances=private | public, egress=exits)


def _interfaces(names: LabNames, machines: Mapping[str, DesiredMachine]) -> list[NetworkInterface]:
    return [
        NetworkInterface(
            host=machine.name,
            instance_id=instance_id,
            link=names.router_link(instance_id),
            address=address,
            group_ids=machine.group_ids,
        )
        for instance_id, (machine, address) in _with_address(machines).items()
    ]


def _with_overlap_problem(machine: DesiredMachine, local: list[IPv4Network]) -> DesiredMachine:
    """Returns the machine, with a problem set if its subnet overlaps one of this machine's own networks."""
    clash = overlapping(machine.address, local) if machine.address else None
    if clash is None or machine.problem:
        return machine
    return replace(machine, problem=f"its subnet overlaps this machine's own network {clash}: choose another network for the stack")
