"""What the host images are made of, and the hash that names each.

Two variants: `plain` is Debian 13 with what Debian's own cloud image carries and what makes it boot here; `baked` is `plain` with the
packages of every role and MySQL installed, so that a host of the lab serves seconds after its boot.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.cloud.package_mirror import MIRROR_HOSTS, RELEASE_SUITE

Variant = Literal["baked", "plain"]

RECIPE_VERSION = 3
"""Counts up when the steps of `build` change what comes out."""

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
"""What Debian's cloud image carries and a container needs. Not udev: a container has no devices to find, and with it cloud-init's
hotplug module fails."""

BAKED_PACKAGES = ("socat",)
"""Beside the roles' own packages: what people reach for on a host."""

PLAIN_SOURCES = f"deb [trusted=yes] http://{MIRROR_HOSTS[0]}/debian {RELEASE_SUITE} main\n"
"""Where a host of the plain image gets its packages: under the archive's name, from the lab's own mirror, which Debian has not signed.
A host of the baked image has no source at all: with one, cloud-init would ask for its index at each boot."""

MYSQL_SUITE = "unstable"
"""Debian 13 has no MySQL server. The lab alone takes Debian's build from here; on AWS MySQL's own repository serves it."""

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
"""The least of that suite that a MySQL server needs; all else stays Debian 13's."""

DISABLED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
)
"""Timers that work on the machine's disks or want a package index."""

SERVICE_UNITS = ("haproxy.service", "keepalived.service", "nginx.service", "mysql.service", "unattended-upgrades.service")
"""A package enables its service even where nothing may start during the build; the stack starts its own when it is configured."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides what an image holds."""

    variant: Variant
    role_packages: tuple[str, ...]
    """Debian packages of every role; empty for `plain`."""
    ca_pem: str
    """PEM of the certificate authority that the image trusts."""

    @property
    def key(self) -> str:
        """The image's name: a hash over everything in it that we decide."""
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
    """The files of `FILES`, in a fixed order."""
    return sorted(path for path in FILES.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
