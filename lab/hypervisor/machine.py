"""One machine: a systemd-nspawn container with its root disk, its console and its power button.

Its processes do not belong to this one: a small supervisor waits for nspawn and writes down how it ended, so that a daemon that was
killed finds its machines running, or learns how they ended, when it comes back.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lab.hypervisor import device_policy, namespaces
from lab.hypervisor.cgroups import MachineCgroup
from lab.hypervisor.device_policy import Device
from lab.hypervisor.root_disk import RootDisk
from lab.names import STATE_ROOT, LabNames
from lab.processes import Process, read_pid_file, write_pid_file

EXIT_REBOOT = 133
"""nspawn's exit status when the guest asked for a reboot; under --keep-unit it does not start the guest again by itself."""

_DROPPED_CAPABILITIES = (
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_WRITE",
    "CAP_DAC_READ_SEARCH",  # and with it open_by_handle_at(2), which leaves the guest's tree
    "CAP_IPC_OWNER",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MKNOD",
    "CAP_NET_BROADCAST",
    "CAP_SYS_NICE",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RESOURCE",  # some machines have none to give; a host is to be the same on all
    "CAP_SYS_TTY_CONFIG",
)
"""Of those that nspawn leaves to a container (systemd-nspawn(1), --capability) what no boot of a host needs."""

_POWER_OFF = signal.SIGRTMIN + 4
_REBOOT = signal.SIGRTMIN + 5
"""Signals to a PID 1 that is systemd, see systemd(1)."""

_SUPERVISOR_SCRIPT = """\
set -eu
for procs in $SUPERVISOR_CGROUPS; do echo $$ > "$procs"; done
status=0
"$@" || status=$?
echo "$status" > "$EXIT_FILE.new"
mv "$EXIT_FILE.new" "$EXIT_FILE"
"""

_GUEST_SCRIPT = """\
set -eu
for procs in $MACHINE_CGROUPS; do echo $$ > "$procs"; done
mount -t overlay overlay -o "$OVERLAY" "$ROOT"
disks=
while read -r _ _ _ _ where _; do
  case $where in "$LABS"/*/disk) disks="$disks $where" ;; esac
done <<END
$(cat /proc/self/mountinfo)
END
umount --lazy $disks || :
mount -t tmpfs -o mode=0755 run /run
exec "$@"
"""
"""In a mount namespace of the machine's own: the host's tree is nowhere else to be seen and goes with its last process; nspawn leaves its
lock files and propagation folders in a /run that nobody keeps. The namespace begins with all mounts that there are: it must not hold
on to other machines' root disks."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is on this machine of one instance."""

    names: LabNames
    instance_id: str

    @property
    def folder(self) -> Path:
        """The machine's folder."""
        return self.names.machine_dir(self.instance_id)

    @property
    def root_disk(self) -> RootDisk:
        """Its root disk."""
        return RootDisk(folder=self.folder)

    @property
    def console(self) -> Path:
        """What the machine printed while booting."""
        return self.folder / "console.log"

    @property
    def cgroup(self) -> MachineCgroup:
        """Its control groups."""
        return MachineCgroup(lab=self.names.prefix, instance_id=self.instance_id)

    def booted_at(self) -> float | None:
        """When its last boot began, in seconds since the epoch; None if it never did."""
        try:
            return self._booted_file.stat().st_mtime
        except FileNotFoundError:
            return None

    @property
    def _booted_file(self) -> Path:
        return self.folder / "booted"

    @property
    def _exit_file(self) -> Path:
        return self.folder / "exit"

    @property
    def _supervisor_file(self) -> Path:
        return self.folder / "supervisor.pid"

    @property
    def notify_path(self) -> Path:
        """The socket on which nspawn says that the guest is up."""
        return self.folder / "notify"

    def exists(self) -> bool:
        """Whether there is a root disk."""
        return self.folder.is_dir()

    def supervisor(self) -> Process | None:
        """The process that ends when the machine does; None when it is off."""
        return read_pid_file(self._supervisor_file)

    def exit_status(self) -> int | None:
        """How the last run ended; None if it was killed from outside, or has not ended."""
        try:
            return int(self._exit_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def open_notify_socket(self) -> socket.socket:
        """A socket for the messages of the next boot; non-blocking."""
        self.notify_path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        receiver.setblocking(False)
        receiver.bind(str(self.notify_path))
        return receiver

    def prepare(self, root_gib: int) -> None:
        """Makes the root disk, of that size, and control groups that no earlier run has touched."""
        self.root_disk.prepare(root_gib)
        (self.folder / "root").mkdir(exist_ok=True)
        self.cgroup.remove()
        self.cgroup.create()
        self._booted_file.touch()
        self._exit_file.unlink(missing_ok=True)

    def address(self) -> IPv4Address | None:
        """The private address that it was last booted with."""
        try:
            return IPv4Address((self.folder / "address").read_text())
        except FileNotFoundError:
            return None

    def save_address(self, address: IPv4Address) -> None:
        """Writes down the address for the end of the run, when the API may show none any more."""
        (self.folder / "address").write_text(str(address))

    def pinned_image(self, current_image: Path) -> Path:
        """The image that the root disk was begun over, which is `offered` at its first boot: the disk fits no other."""
        record = self.folder / "image"
        if record.exists():
            return Path(record.read_text())
        record.write_text(str(current_image))
        return current_image

    def boot(self, *, image: Path, hostname: str, binds: Mapping[Path, str]) -> Process:
        """Switches the machine on, after `prepare`; returns its supervisor at once.

        `pinned_image` is the lower layer of the root disk; `binds` maps devices of this machine to paths in the guest, which uses no other.
        """
        command = [
            "nsenter",
            # Before nspawn makes the guest's /sys, or /sys/class/net shows this machine's interfaces and cloud-init takes one of them.
            f"--net={namespaces.path_of(self.names.machine_netns(self.instance_id))}",
            "unshare",
            "--mount",
            # Slave: a network namespace removed outside must not live on as a mount in here.
            "--propagation=slave",
            "sh",
            "-c",
            _GUEST_SCRIPT,
            "sh",
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={self.folder / 'root'}",
            f"--machine={self.names.prefix}.{self.instance_id}",
            f"--hostname={hostname}",
            "--network-namespace-path=/proc/self/ns/net",
            "--register=no",  # needs no systemd-machined,
            "--keep-unit",  # nor a unit to be in
            "--notify-ready=yes",
            "--resolv-conf=off",  # the image's own names the VPC's resolver
            "--capability=CAP_NET_ADMIN",  # keepalived, and anything else that owns addresses
            f"--drop-capability={','.join(_DROPPED_CAPABILITIES)}",
            "--console=read-only",
            *(f"--bind={source}:{target}" for source, target in binds.items()),
        ]
        device_policy.permit(self.cgroup.guest, map(Device.of, binds))
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "SUPERVISOR_CGROUPS": " ".join(str(path) for path in self.cgroup.join_files("supervisor")),
            "MACHINE_CGROUPS": " ".join(str(path) for path in self.cgroup.join_files("machine")),
            "EXIT_FILE": str(self._exit_file),
            "ROOT": str(self.folder / "root"),
            "OVERLAY": f"lowerdir={image},upperdir={self.root_disk.upper},workdir={self.root_disk.work}",
            "LABS": str(STATE_ROOT / "labs"),
            "NOTIFY_SOCKET": str(self.notify_path),
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",  # net.* sysctls are the guest's own
        }
        with self.console.open("ab") as console:
            started = subprocess.Popen(
                ["sh", "-c", _SUPERVISOR_SCRIPT, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd="/",
                start_new_session=True,
                umask=0o022,  # in the guest's tree nspawn makes folders for all its users
            )
        write_pid_file(self._supervisor_file, started.pid)
        return Process.of(started.pid)

    def signal_power_off(self) -> bool:
        """Asks the guest to shut down cleanly; False when it has no PID 1 (yet, or any more) to ask."""
        return self._signal_init(_POWER_OFF)

    def signal_reboot(self) -> bool:
        """Asks the guest to reboot; it then ends with `EXIT_REBOOT`."""
        return self._signal_init(_REBOOT)

    def init_pid(self) -> int | None:
        """The guest's PID 1 as seen from here."""
        return self.cgroup.init_pid()

    def cut_power(self) -> None:
        """Ends every process of the machine at once, without a word to any of them."""
        self.cgroup.kill()

    def clean_up_run(self) -> None:
        """Takes away what a run leaves besides the root disk."""
        self.cgroup.remove()
        for file in (self._supervisor_file, self.notify_path):
            file.unlink(missing_ok=True)

    def destroy(self) -> None:
        """Takes the root disk away. The machine must be off."""
        self.cgroup.remove()
        self.root_disk.unmount()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def console_tail(self, count: int = 5) -> list[str]:
        """The end of the console, for an error message."""
        with contextlib.suppress(FileNotFoundError):
            text = self.console.read_text(errors="replace")
            return [line.strip() for line in text.splitlines() if line.strip()][-count:]
        return []

    def _signal_init(self, sign: int) -> bool:
        init_pid = self.init_pid()
        if init_pid is None:
            return False
        try:
            os.kill(init_pid, sign)
        except ProcessLookupError:
            return False
        return True
