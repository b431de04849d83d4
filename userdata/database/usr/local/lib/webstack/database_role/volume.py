"""The data volume: found by its id, formatted only when it is blank, mounted where MySQL keeps its data."""

import time
from collections.abc import Callable
from pathlib import Path

from webstack_host import files
from webstack_host.errors import PermanentError
from webstack_host.run import run

from . import paths

UNIT = "var-lib-mysql.mount"
BLKID_NOTHING_FOUND = 2
"""blkid's exit code for "nothing recognised on it" (probing the device itself, not its cache)."""

LABEL = "mysql-data"
"""The label; XFS allows twelve characters (mkfs.xfs(8))."""

ATTACH_TIMEOUT = 60.0
"""Seconds that one attempt waits for the volume."""


def device(volume_id: str) -> Path:
    """Returns the volume's path on a Nitro instance: the NVMe serial number is the volume's id without its dash."""
    return Path("/dev/disk/by-id") / f"nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"


def wait(volume_id: str, *, progress: Callable[[str], None]) -> Path:
    """Waits for the device and returns it, since an instance boots before its volumes are attached.

    `progress` is called once if it has to wait. Raises TimeoutError if the volume is not attached within ATTACH_TIMEOUT.
    """
    found, deadline = device(volume_id), time.monotonic() + ATTACH_TIMEOUT
    if not found.exists():
        progress(f"waiting for volume {volume_id} to be attached")
    while not found.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"volume {volume_id} is not attached: there is no {found}")
        time.sleep(0.2)
    return found


def mount(device_path: Path) -> None:
    """Formats the device if it is blank and mounts it. Raises PermanentError if it contains something other than XFS."""
    if Path(paths.VOLUME).is_mount():
        return
    probe = run(["blkid", "-p", "-s", "TYPE", "-o", "value", device_path], check=False)
    if probe.returncode == BLKID_NOTHING_FOUND:
        run(["mkfs.xfs", "-q", "-L", LABEL, device_path], timeout=600)
    elif probe.returncode != 0:
        raise PermanentError(f"cannot tell what is on {device_path}: {probe.stderr.strip() or f'blkid ended with {probe.returncode}'}")
    elif probe.stdout.strip() != "xfs":
        raise PermanentError(
            f"{device_path} holds {probe.stdout.strip()}, not XFS: it is not this stack's data volume, and is left alone. "
            "Attach the one that is, or a blank one: this host fills it from the other database host"
        )
    unit = f"""# Written at each boot by webstack-configure: the volume's id is known then.
[Unit]
Description=The data volume of MySQL
StartLimitIntervalSec=0

[Mount]
What={device_path}
Where={paths.VOLUME}
Type=xfs
Options=noatime,nodev,nosuid,noexec
# A large volume's log is read and written back at the mount after a crash.
TimeoutSec=600
"""
    files.write(Path("/etc/systemd/system") / UNIT, unit)
    files.directory(paths.VOLUME)
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "start", UNIT], timeout=660)
