"""One machine: a systemd-nspawn container with its root disk, its console and its power button.

Its processes outlive the daemon: a small supervisor waits for nspawn and records its exit status, so that after the daemon was killed, the
next one finds the machines running or learns how they ended.
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
"""nspawn's exit status when the guest reboots; under --keep-unit nspawn does not start the guest again itself."""

_DROPPED_CAPABILITIES = (
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_WRITE",
    "CAP_DAC_READ_SEARCH",  # includes open_by_handle_at(2), which reaches files outside the guest's tree
    "CAP_IPC_OWNER",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MKNOD",
    "CAP_NET_BROADCAST",
    "CAP_SYS_NICE",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RESOURCE",  # some machines lack it, and a host should be the same on all
    "CAP_SYS_TTY_CONFIG",
)
"""Capabilities that nspawn gives a container by default (systemd-nspawn(1), --capability) and that no host needs to boot."""

_POWER_OFF = signal.SIGRTMIN + 4
_REBOOT = signal.SIGRTMIN + 5
"""Signals that systemd as PID 1 understands, see systemd(1)."""

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
"""Runs in a mount namespace of the machine's own: the guest's tree is visible nowhere else and disappears with its last process, and
nspawn's lock files and propagation folders stay in a private /run. The namespace starts with a copy of all mounts; other machines' root
disks are unmounted in it, because it would keep them busy."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The container of one instance, and its files on this machine."""

    names: LabNames
    instance_id: str

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self.names.machine_dir(self.instance_id)

    @property
    def root_disk(self) -> RootDisk:
        """Its root disk."""
        return RootDisk(folder=self.folder)

    @property
    def console(self) -> Path:
        """The file with the machine's console output."""
        return self.folder / "console.log"

    @property
    def cgroup(self) -> MachineCgroup:
        """Its control groups."""
        return MachineCgroup(lab=self.names.prefix, instance_id=self.instance_id)

    def booted_at(self) -> float | None:
        """When its last boot began, in seconds since the epoch; None if it never booted."""
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
        """The socket on which nspawn reports the guest's boot."""
        return self.folder / "notify"

    def exists(self) -> bool:
        """Whether its root disk exists."""
        return self.folder.is_dir()

    def supervisor(self) -> Process | None:
        """Returns the process that ends with the machine; None when it is off."""
        return read_pid_file(self._supervisor_file)

    def exit_status(self) -> int | None:
        """Returns nspawn's exit status of the last run; None if it was killed from outside or has not ended."""
        try:
            return int(self._exit_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def open_notify_socket(self) -> socket.socket:
        """Opens a non-blocking socket for the notifications of the next boot."""
        self.notify_path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        receiver.setblocking(False)
        receiver.bind(str(self.notify_path))
        return receiver

    def prepare(self, root_gib: int) -> None:
        """Makes or grows the root disk to that size in GiB, and makes new control groups."""
        self.root_disk.prepare(root_gib)
        (self.folder / "root").mkdir(exist_ok=True)
        self.cgroup.remove()
        self.cgroup.create()
        self._booted_file.touch()
        self._exit_file.unlink(missing_ok=True)

    def address(self) -> IPv4Address | None:
        """Returns the private address that it was last booted with."""
        try:
            return IPv4Address((self.folder / "address").read_text())
        except FileNotFoundError:
            return None

    def save_address(self, address: IPv4Address) -> None:
        """Records the address, which is needed at the end of the run, when the API may no longer show it."""
        (self.folder / "address").write_text(str(address))

    def pinned_image(self, current_image: Path) -> Path:
        """Returns the image that the root disk was made on, the only one that it fits; at the first boot this is `current_image`."""
        record = self.folder / "image"
        if record.exists():
            return Path(record.read_text())
        record.write_text(str(current_image))
        return current_image

    def boot(self, *, image: Path, hostname: str, binds: Mapping[Path, str]) -> Process:
        """Switches the machine on, after `prepare`. Returns its supervisor immediately.

        `image` is the root disk's lower layer, from `pinned_image`. `binds` maps devices of this machine to paths in the guest, the only
        ones that it may use.
        """
        command = [
            "nsenter",
            # Before nspawn makes the guest's /sys: otherwise /sys/class/net shows this machine's interfaces, and cloud-init picks one.
            f"--net={namespaces.path_of(self.names.machine_netns(self.instance_id))}",
            "unshare",
            "--mount",
            # Slave: a network namespace that is removed outside must not survive as a mount in here.
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
            "--keep-unit",  # nor a unit to run in
            "--notify-ready=yes",
            "--resolv-conf=off",  # the image's file already names the VPC's resolver
            "--capability=CAP_NET_ADMIN",  # for keepalived and others that set addresses
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
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",  # the guest may set net.* sysctls
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
                umask=0o022,  # nspawn makes folders in the guest's tree that all its users must reach
            )
        write_pid_file(self._supervisor_file, started.pid)
        return Process.of(started.pid)

    def signal_power_off(self) -> bool:
        """Asks the guest to shut down cleanly. Returns False if it has no PID 1, before or after its run."""
        return self._signal_init(_POWER_OFF)

    def signal_reboot(self) -> bool:
        """Asks the guest to reboot; nspawn then exits with `EXIT_REBOOT`. Returns False if the guest has no PID 1."""
        return self._signal_init(_REBOOT)

    def init_pid(self) -> int | None:
        """Returns the pid, on this machine, of the guest's PID 1; None if it has none."""
        return self.cgroup.init_pid()

    def cut_power(self) -> None:
        """Kills every process of the machine at once."""
        self.cgroup.kill()

    def clean_up_run(self) -> None:
        """Removes what a run leaves besides the root disk."""
        self.cgroup.remove()
        for file in (self._supervisor_file, self.notify_path):
            file.unlink(missing_ok=True)

    def destroy(self) -> None:
        """Removes the machine's folder and with it the root disk. The machine must be off."""
        self.cgroup.remove()
        self.root_disk.unmount()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def console_tail(self, count: int = 5) -> list[str]:
        """Returns the last lines of the console, for an error message."""
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
