"""What a host does without, whatever its role: ways into the kernel, and SSH, which no security group lets in and nobody has a key for."""

from webstack_host.run import run

SYSCTL = "/usr/lib/systemd/systemd-sysctl"
SETTINGS = "/etc/sysctl.d/90-webstack.conf"
SSH_UNITS = ("ssh.service", "ssh.socket")
"""Debian's; images for EC2 start it."""


def apply() -> None:
    """Puts the kernel's settings in force now, which a boot does only with files that are there before it, and ends SSH for good.

    Harmless where it holds already. That SSH cannot be started holds from the next reload of systemd on. Raises CommandError.
    """
    run([SYSCTL, SETTINGS])
    run(["systemctl", "mask", "--no-reload", *SSH_UNITS])
    run(["systemctl", "stop", *SSH_UNITS], check=False)  # what is not installed cannot be stopped
