"""Hardening of every host: kernel settings, and no SSH, which no security group allows and for which no key exists."""

from webstack_host.run import run

SYSCTL = "/usr/lib/systemd/systemd-sysctl"
SETTINGS = "/etc/sysctl.d/90-webstack.conf"
SSH_UNITS = ("ssh.service", "ssh.socket")
"""Debian's SSH units; images for EC2 start them."""


def apply() -> None:
    """Applies the kernel settings now, since a boot applies only files that existed before it, and stops SSH permanently.

    Harmless if repeated. SSH can no longer be started after systemd's next reload. Raises CommandError.
    """
    run([SYSCTL, SETTINGS])
    run(["systemctl", "mask", "--no-reload", *SSH_UNITS])
    run(["systemctl", "stop", *SSH_UNITS], check=False)  # fails for units that are not installed
