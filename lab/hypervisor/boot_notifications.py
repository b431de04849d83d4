"""nspawn's notifications about a guest's boot: that its PID 1 is about to run, and that it is up."""

import asyncio
import contextlib
import logging
import socket

from lab.hypervisor.machine import Machine

log = logging.getLogger(__name__)


class BootNotifications:
    """Receives the notifications of one machine. Lives in the daemon's event loop; only `open` may be called in a thread."""

    def __init__(self, machine: Machine) -> None:
        self.up = False
        """Whether the guest has finished booting."""
        self.init_started = asyncio.Event()
        """Set when the guest has its devices and its PID 1 is about to run: its namespaces can be entered from then on."""
        self._machine = machine
        self._socket: socket.socket | None = None

    def adopt(self) -> None:
        """Records that the guest was booted by an earlier daemon, so that no notification will come."""
        self.up = True
        self.init_started.set()

    def open(self) -> None:
        """Makes the socket for the next boot. Call `close` first if one is open."""
        self._socket = self._machine.open_notify_socket()

    def listen(self) -> None:
        """Starts receiving the boot's messages."""
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Stops receiving and closes the socket."""
        if self._socket is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def reset(self) -> None:
        """Forgets the boot: the run is over."""
        self.up = False
        self.init_started.clear()
        self.close()

    def _read(self) -> None:
        while self._socket is not None:
            try:
                message = self._socket.recv(4096)
            except BlockingIOError:
                return
            if b"X_NSPAWN_LEADER_PID=" in message:
                self.init_started.set()
            if b"READY=1" in message.split(b"\n"):
                self.up = True
                log.info("%s: up", self._machine.instance_id)
