"""The lab's daemon: `python -m lab.daemon NAME` runs in the foreground and logs to its standard error.

It owns the API server's process, the cloud's services in the router, and the hypervisor. It may be killed at any time: machines and API
server keep running, and the next daemon takes them over. SIGTERM ends only the daemon; `POST /shutdown` ends the lab.
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from lab import admin_keys
from lab.cloud.api_fault_filter import ApiFaultFilter
from lab.cloud.images import BAKED_IMAGE, PLAIN_IMAGE
from lab.cloud.moto_process import MotoServerError
from lab.cloud.services import CloudServices
from lab.control_server import ControlServer
from lab.files import PRIVATE_UMASK
from lab.hypervisor import node_settings, teardown
from lab.hypervisor.hypervisor import Hypervisor
from lab.hypervisor.protocols import MachineEvent, RouterNamespace
from lab.hypervisor.reconciler import SHUTDOWN_TIMEOUT
from lab.hypervisor.run import CommandError
from lab.image.recipe import Recipe
from lab.image.store import ImageStore
from lab.names import LabNameError, LabNames
from lab.processes import read_pid_file, wait_for_exit, write_pid_file

log = logging.getLogger("lab.daemon")


def image_for(store: ImageStore, recipes: Mapping[str, Recipe], image_id: str) -> Path:
    """Returns the root folder of an AMI's image. Raises `LookupError` if the id is unknown or its image is not built."""
    recipe = recipes.get(image_id)
    if recipe is None:
        raise LookupError(
            f"{image_id}: the lab boots {BAKED_IMAGE} (Debian 13 with the roles' packages) and {PLAIN_IMAGE} (Debian 13 alone)"
        )
    if not store.exists(recipe):
        flag = "" if image_id == BAKED_IMAGE else " --plain"
        raise LookupError(f"{image_id}: its image is not built; run `python -m lab.image build{flag}`")
    return store.root(recipe)


class Daemon:
    """Runs one lab. Forwards the hypervisor's reports to the cloud's services, which may be replaced while it runs."""

    def __init__(self, names: LabNames, *, shutdown_timeout: float) -> None:
        self.names = names
        self.stop_event = asyncio.Event()
        """Set to stop the daemon."""
        self.destroy_lab = False
        """Whether stopping also removes the lab."""
        self._store = ImageStore.default()
        self._store.restrict_access()
        # Read once: if the clone changes under a running lab, the hosts must still find their image.
        self._recipes = {BAKED_IMAGE: self._store.recipe("baked"), PLAIN_IMAGE: self._store.recipe("plain")}
        self._services: CloudServices | None = None
        self._api_faults = ApiFaultFilter()
        self._keys = admin_keys.ensure_admin_key(names)
        self.hypervisor = Hypervisor(
            names,
            status_reporter=self,
            image_for=lambda image_id: image_for(self._store, self._recipes, image_id),
            set_api_faults=self._api_faults.set_faults,
            shutdown_timeout=shutdown_timeout,
        )
        self._control = ControlServer(names, self.hypervisor, self.shut_down)

    def shut_down(self) -> None:
        """Ends the daemon and removes the lab."""
        self.destroy_lab = True
        self.stop_event.set()

    async def report(self, instance_id: str, event: MachineEvent, volume_id: str | None = None) -> None:
        """See `lab.hypervisor.protocols.MachineStatusReporter`."""
        if self._services is not None:
            await self._services.report(instance_id, event, volume_id)

    async def run(self) -> None:
        """Runs until `stop_event` is set."""
        async with contextlib.AsyncExitStack() as stack:
            router = await self.hypervisor.set_up_router()
            self._services = await self._start_services(router)
            stack.push_async_callback(self._detach_services)
            guarding = asyncio.create_task(self._supervise_moto(router), name="api guard")
            stack.callback(guarding.cancel)
            await self.hypervisor.start(await self._services.regions())
            stack.push_async_callback(self.hypervisor.stop)
            await self._control.start()
            stack.push_async_callback(self._control.stop)
            log.info("lab %s is running; its API is %s", self.names.name, self.names.api_endpoint)
            await self.stop_event.wait()

    async def _supervise_moto(self, router: RouterNamespace) -> None:
        """Replaces an API server that has died. Its state is lost, so the new one starts empty and all machines are removed."""
        while self._services is not None:
            process = read_pid_file(self.names.pid_file("api"))
            if process is not None:
                await wait_for_exit(process)
            log.error("the API server has ended and its state is lost; starting another")
            await self._services.stop()
            self._services = await self._start_services(router)
            self.hypervisor.refresh()

    async def _start_services(self, router: RouterNamespace) -> CloudServices:
        packages = self._store.packages_dir(self._recipes[BAKED_IMAGE])
        services = CloudServices(
            self.names,
            router,
            self.hypervisor.on_api_change,
            keys=self._keys,
            packages=packages if packages.is_dir() else None,
            faults=self._api_faults,
        )
        await services.start()
        return services

    async def _detach_services(self) -> None:
        """Stops the services but not the API server: the next daemon takes it over with its state."""
        if self._services is not None:
            await self._services.detach()


async def _run(names: LabNames, shutdown_timeout: float) -> bool:
    daemon = Daemon(names, shutdown_timeout=shutdown_timeout)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, daemon.stop_event.set)
    await daemon.run()
    return daemon.destroy_lab


def _positive_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number of seconds greater than 0")
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """Runs the daemon and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.daemon", description="Run one lab: AWS emulated on this machine.")
    parser.add_argument("name", help="the lab's name")
    parser.add_argument(
        "--shutdown-timeout",
        type=_positive_seconds,
        default=SHUTDOWN_TIMEOUT,
        metavar="SECONDS",
        help="how long a host may take to shut down before its power is cut (default: %(default)g; AWS gives no figure); "
        "tests of hanging hosts shorten it",
    )
    options = parser.parse_args(arguments)
    try:
        names = LabNames.of(options.name)
    except LabNameError as error:
        print(error, file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("the lab's daemon needs root: it makes namespaces, mounts and loop devices", file=sys.stderr)
        return 1
    os.umask(PRIVATE_UMASK)  # files that guests must read get their mode where they are made
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    for chatty in ("aiohttp.access", "botocore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    node_settings.acquire(names)
    with names.daemon_lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"lab {names.name!r} already has a daemon (its lock {names.daemon_lock} is held)", file=sys.stderr)
            return 1
        write_pid_file(names.pid_file("daemon"), os.getpid())
        try:
            lab_too = asyncio.run(_run(names, options.shutdown_timeout))
        except (MotoServerError, CommandError, OSError, RuntimeError) as error:
            log.exception("the daemon failed")
            print(f"lab {names.name!r}: {error}", file=sys.stderr)
            return 1
        finally:
            names.pid_file("daemon").unlink(missing_ok=True)
            names.control_socket.unlink(missing_ok=True)
    if lab_too:
        teardown.take_down(names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
