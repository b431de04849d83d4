"""The contents of the host images, and the hash that names each.

There are two variants: `plain` is Debian 13 with the packages of Debian's own cloud image and what it needs to boot here; `baked` is
`plain` with the packages of every role and MySQL, so that a host serves seconds after its boot.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.cloud.package_mirror import MIRROR_HOSTS, RELEASE_SUITE

Variant = Literal["baked", "plain"]

RECIPE_VERSION = 3
"""Increase it when the steps of `build` change the result."""

SUITE = RELEASE_SUITE

FILES = Path(__file__).parent / "files"
"""Files of both variants, at their real paths."""

PLAIN_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "cloud-init",
    "ca-certificates",
    "curl",
    "e2fsprogs",
    "iproute2",
    "less",
    "procps",
    "python3",
    "sudo",
)
"""The packages of Debian's cloud image that a container needs. Without udev: a container has no devices to discover, and with it
cloud-init's hotplug module fails."""

BAKED_PACKAGES = ("socat",)
"""Tools for people on a host, besides the roles' own packages."""

PLAIN_SOURCES = f"deb [trusted=yes] http://{MIRROR_HOSTS[0]}/debian {RELEASE_SUITE} main\n"
"""The apt source of the plain image: the lab's own mirror, under the archive's host name, without Debian's signature. The baked image has
no source: with one, cloud-init would read its index at each boot."""

MYSQL_SUITE = "unstable"
"""Debian 13 has no MySQL server. Only the lab uses Debian's build from this suite; on AWS it comes from MySQL's own repository."""

MYSQL_PACKAGES = (
    "mysql-server",
    "mysql-server-core",
    "mysql-client",
    "mysql-client-core",
    "libicu78",
    "libstdc++6",
    "gcc-16-base",
    "libgoogle-perftools4t64",
    "libtcmalloc-minimal4t64",
)
"""The fewest packages of that suite that a MySQL server needs; everything else comes from Debian 13."""

DISABLED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
)
"""Timers that would work on this machine's disks or need a package index."""

SERVICE_UNITS = ("haproxy.service", "keepalived.service", "nginx.service", "mysql.service", "unattended-upgrades.service")
"""Services that packages enable although nothing may start during the build; the stack starts them once they are configured."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines an image's contents."""

    variant: Variant
    role_packages: tuple[str, ...]
    """Debian packages of every role; empty for `plain`."""
    ca_pem: str
    """PEM of the certificate authority that the image trusts."""

    @property
    def key(self) -> str:
        """The image's name: a hash of everything that this project determines in it."""
        made_of = {
            "recipe": RECIPE_VERSION,
            "suite": SUITE,
            "variant": self.variant,
            "packages": [*PLAIN_PACKAGES, *self.role_packages],
            "sources": PLAIN_SOURCES,
            "mysql": MYSQL_PACKAGES if self.variant == "baked" else (),
            "units": [*DISABLED_UNITS, *SERVICE_UNITS],
            "authority": self.ca_pem,
            "files": {str(path.relative_to(FILES)): path.read_text() for path in image_files()},
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def image_files() -> list[Path]:
    """Returns the files of `FILES`, in a fixed order."""
    return sorted(path for path in FILES.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
