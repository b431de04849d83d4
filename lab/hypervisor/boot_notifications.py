"""What nspawn says of a guest's boot: that its PID 1 is about to run, and that it is up."""

import asyncio
import contextlib
import logging
import socket

from lab.hypervisor.machine import Machine

log = logging.getLogger(__name__)


class BootNotifications:
    """The messages of one machine's boots. Lives in the daemon's event loop; only `open` may be called in a thread."""

    def __init__(self, machine: Machine) -> None:
        self.up = False
        """Whether the guest has started all that it starts."""
        self.init_started = asyncio.Event()
        """The guest has its devices and its PID 1 is about to run: from now on one can reach into it."""
        self._machine = machine
        self._socket: socket.socket | None = None

    def adopt(self) -> None:
        """The guest runs since before this daemon, and will say nothing more."""
        self.up = True
        self.init_started.set()

    def open(self) -> None:
        """Makes the socket for the next boot. `close` comes first where there was one."""
        self._socket = self._machine.open_notify_socket()

    def listen(self) -> None:
        """Begins to hear the messages of the boot."""
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Hears no more."""
        if self._socket is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def reset(self) -> None:
        """The run is over."""
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
