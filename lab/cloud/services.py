"""Starts and stops together all that AWS provides around a machine: the API and its gateway, the metadata service, the resolver."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

import aiohttp

from lab.admin_keys import AccessKey
from lab.cloud.api_fault_filter import ApiFaultFilter
from lab.cloud.api_gateway import ApiGateway, client_session, loopback_listener
from lab.cloud.certificates import CertificateIssuer, ensure_ca
from lab.cloud.dns_zones import read_private_zones
from lab.cloud.iam.authorizer import IamAuthorizer
from lab.cloud.iam.policies import PolicyStore
from lab.cloud.iam.role_sessions import RoleSessions
from lab.cloud.internal_api import REGIONS_PATH, event_path
from lab.cloud.inventory import InstanceLookup, Inventory, MotoClients
from lab.cloud.metadata import MetadataService
from lab.cloud.moto_process import MotoProcess
from lab.cloud.package_mirror import MIRROR_HOSTS, PackageMirror
from lab.cloud.resolver import RecordStore, Resolver
from lab.names import METADATA_ADDRESS, RESOLVER_ADDRESS, LabNames
from lab.paths import cache_folder

if TYPE_CHECKING:
    from lab.hypervisor.protocols import ChangeListener, MachineEvent, RouterNamespace

_LOG = logging.getLogger(__name__)
_DEFAULT_SERVER_NAME = "amazonaws.com"
_RETRY_SECONDS = 1.0


class CloudServices:
    """The cloud services of one lab. `on_change` is called after every call that may have changed something.

    `lookup` finds an instance by its private address where the API alone cannot (two VPCs with the same addresses).
    `faults` are the API's active faults; they outlive these services, which are replaced when the API server dies.
    `keys` is the access key of the account's administrator.
    `packages` is a folder of .debs with its index, served under the names of Debian's archive (`lab.cloud.package_mirror`).
    """

    def __init__(
        self,
        names: LabNames,
        router: "RouterNamespace",
        on_change: "ChangeListener",
        *,
        lookup: InstanceLookup | None = None,
        keys: AccessKey,
        packages: Path | None = None,
        faults: ApiFaultFilter | None = None,
    ) -> None:
        self._names = names
        self._router = router
        self._on_change = on_change
        self._keys = keys
        self._packages = packages
        self._faults = faults
        self._moto = MotoProcess(names)
        self._clients = MotoClients(self._moto.address)
        self._inventory = Inventory(clients=self._clients, lookup=lookup)
        self._policies = PolicyStore(self._clients)
        self._zones_changed = asyncio.Event()
        self._running = AsyncExitStack()
        self._started = False
        self._session: aiohttp.ClientSession | None = None
        self.resolver = Resolver(RecordStore(api_address=names.api_address, s3_address=names.s3_address))
        """Tests set its `unresponsive`."""

    async def start(self) -> bool:
        """Starts everything. Returns True if the API server was still running with the state of an earlier daemon.

        Raises `MotoServerError`, or OSError if a port of this machine is taken; then nothing is left running except an API server that an
        earlier daemon had started.
        """
        found = await self._moto.start()
        async with AsyncExitStack() as starting:
            if not found:
                starting.push_async_callback(self._stop_moto_after_failed_start)
            self._session = await starting.enter_async_context(client_session(self._moto.address))
            if found:
                self._inventory.regions.update(await self.regions())
            await self._start_gateway(starting)
            metadata = MetadataService(self._inventory, self._clients, self._policies)
            await metadata.start(self._listen(METADATA_ADDRESS, 80))
            starting.push_async_callback(metadata.stop)
            datagrams = self._router.listen(socket.SOCK_DGRAM, str(RESOLVER_ADDRESS), 53)
            await self.resolver.start(datagrams, self._listen(RESOLVER_ADDRESS, 53))
            starting.push_async_callback(self.resolver.stop)
            if self._packages is not None:
                await self._start_mirror(starting, self._packages)
            follower = asyncio.create_task(self._watch_zones())
            starting.push_async_callback(_cancel, follower)
            self._zones_changed.set()
            self._started = True
            self._running = starting.pop_all()
        return found

    async def stop(self) -> None:
        """Stops everything, including the API server, whose state is lost."""
        await self._running.aclose()
        await self._moto.stop()

    async def detach(self) -> None:
        """Stops everything except the API server: the next daemon finds it with its state (`start` returns True)."""
        await self._running.aclose()

    async def report(self, instance_id: str, event: "MachineEvent", volume_id: str | None = None) -> None:
        """See `lab.hypervisor.protocols.MachineStatusReporter`."""
        async with self._moto_session().post(event_path(instance_id, event, volume_id)) as answer:
            if answer.status != 200:
                _LOG.warning("%s %s: reporting %s failed: %s", instance_id, volume_id or "", event, await answer.text())
        self._inventory.invalidate("", "ec2")

    async def regions(self) -> list[str]:
        """Returns the regions that contain EC2 resources, from the API server."""
        async with self._moto_session().get(REGIONS_PATH) as answer:
            content = cast("Mapping[str, list[str]]", await answer.json())
        return content["regions"]

    async def _stop_moto_after_failed_start(self) -> None:
        if not self._started:
            await self._moto.stop()

    async def _start_gateway(self, starting: AsyncExitStack) -> None:
        authorizer = IamAuthorizer(RoleSessions(self._moto_session()), self._policies, self._inventory, administrator=self._keys)
        log_file = self._names.state_dir / "calls.jsonl"
        gateway = ApiGateway(
            self._moto.address,
            on_change=self._changed,
            authorizer=authorizer,
            is_known_key=authorizer.is_known_key,
            faults=self._faults,
            log_file=log_file,
        )
        await gateway.start()
        starting.push_async_callback(gateway.stop)
        await gateway.add_listener(loopback_listener(self._names.api_port))
        certificate, key = await asyncio.to_thread(ensure_ca, cache_folder())
        tls = CertificateIssuer(certificate, key).server_context(_DEFAULT_SERVER_NAME)
        for address in (self._names.api_address, self._names.s3_address):
            await gateway.add_listener(self._listen(address, 443), tls)

    async def _start_mirror(self, starting: AsyncExitStack, packages: Path) -> None:
        mirror = PackageMirror(packages)
        await mirror.start(self._listen(self._names.api_address, 80))
        starting.push_async_callback(mirror.stop)
        self.resolver.store.static_hosts = dict.fromkeys(MIRROR_HOSTS, self._names.api_address)

    def _listen(self, address: object, port: int) -> socket.socket:
        return self._router.listen(socket.SOCK_STREAM, str(address), port)

    def _changed(self, *, region: str, service: str, action: str, parameters: Mapping[str, str]) -> None:
        self._inventory.invalidate(region, service)
        self._policies.invalidate(service, action)
        if service == "route53":
            self._zones_changed.set()
        self._on_change(region=region, service=service, action=action, parameters=parameters)

    async def _watch_zones(self) -> None:
        while True:
            await self._zones_changed.wait()
            self._zones_changed.clear()
            try:
                self.resolver.store.zones = await asyncio.to_thread(read_private_zones, self._clients)
            except Exception:
                _LOG.exception("the private zones could not be read; the resolver keeps the old ones and will retry")
                await asyncio.sleep(_RETRY_SECONDS)
                self._zones_changed.set()

    def _moto_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the cloud services have not been started")
        return self._session


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
