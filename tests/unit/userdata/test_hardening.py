"""What each service may do on its host, as one table: whom it runs as, its capabilities, what it may write.

https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
"""

import configparser
from dataclasses import dataclass
from pathlib import Path

import pytest

from userdata.render import ROOT

ROOT_USER = "root"
KEEPS = "all"
"""A service that keeps every capability of its user."""


@dataclass(frozen=True, kw_only=True)
class Rights:
    """A service's: `writes` is what it may write under a strictly protected system; None where the system is not strictly protected."""

    user: str
    capabilities: str
    no_new_privileges: bool
    writes: str | None
    dynamic: bool = False


TABLE = {
    # It installs a package from AWS's bucket, as root.
    "common/webstack-session-manager.service": Rights(user=ROOT_USER, capabilities=KEEPS, no_new_privileges=False, writes=None),
    # It asks systemd, HAProxy's socket and the journal, all root's own.
    "common/webstack-report.service": Rights(user=ROOT_USER, capabilities="", no_new_privileges=True, writes=""),
    "database/mysql.service": Rights(user="mysql", capabilities=KEEPS, no_new_privileges=True, writes=None),
    # It asks MySQL as root, by its socket.
    "database/webstack-database-accounts.service": Rights(
        user=ROOT_USER, capabilities=KEEPS, no_new_privileges=True, writes="/run/webstack/database"
    ),
    # It extends a mounted file system.
    "database/webstack-data-volume.service": Rights(
        user=ROOT_USER, capabilities="CAP_SYS_ADMIN", no_new_privileges=True, writes="/var/lib/mysql /run/webstack"
    ),
    "database/webstack-database-agent.service": Rights(
        user="webstack-agent",
        capabilities="",
        no_new_privileges=True,
        writes="/run/webstack/database /var/lib/mysql/trust /var/lib/mysql/webstack",
    ),
    "database/webstack-database-check.service": Rights(user="webstack-check", capabilities="", no_new_privileges=True, writes=""),
    "load_balancer/webstack-elastic-ip.service": Rights(user=ROOT_USER, capabilities="", no_new_privileges=True, writes=""),
    "load_balancer/haproxy.service.d/webstack.conf": Rights(
        user=ROOT_USER,
        capabilities="CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_SYS_CHROOT CAP_KILL CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE "
        "CAP_SYS_RESOURCE",
        no_new_privileges=True,
        writes="/run",
    ),
    # It puts HAProxy's configuration and certificate in place, tries them, and asks systemd for the reload.
    "load_balancer/webstack-reconfigure.service": Rights(
        user=ROOT_USER,
        capabilities="CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER",
        no_new_privileges=True,
        writes="/etc/haproxy /etc/webstack /run /var/lib/webstack",
    ),
    # It sets addresses and opens raw sockets.
    "load_balancer/keepalived.service.d/webstack.conf": Rights(user=ROOT_USER, capabilities=KEEPS, no_new_privileges=False, writes="/run"),
    "web/nginx.service.d/webstack.conf": Rights(
        user=ROOT_USER,
        capabilities="CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL CAP_SYS_RESOURCE",
        no_new_privileges=True,
        writes="/run /var/log/nginx /var/lib/nginx",
    ),
    "web/webstack-app.service": Rights(user="webstack-app", capabilities="", no_new_privileges=True, writes="", dynamic=True),
    "web/webstack-migrate.service": Rights(user="", capabilities="", no_new_privileges=True, writes="", dynamic=True),
    "web/webstack-database-proxy.service": Rights(user="", capabilities="", no_new_privileges=True, writes="", dynamic=True),
    "web/webstack-await-primary.service": Rights(user=ROOT_USER, capabilities="", no_new_privileges=True, writes="/run/webstack"),
    "web/webstack-database-ca.service": Rights(user=ROOT_USER, capabilities="", no_new_privileges=True, writes="/run/webstack"),
    # It writes the app's environment, also into the app's own folder, and asks systemd for the reload.
    "web/webstack-secrets.service": Rights(
        user=ROOT_USER, capabilities="CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER", no_new_privileges=True, writes="/run"
    ),
    # It touches a file and waits.
    "web/webstack-drain.service": Rights(user=ROOT_USER, capabilities=KEEPS, no_new_privileges=False, writes=None),
}

FILES = {"ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes"}
KERNEL = {"ProtectKernelTunables": "yes", "ProtectKernelModules": "yes", "ProtectControlGroups": "yes"}
NETWORK = {"RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX"}
PERSONALITY = {"LockPersonality": "yes"}
RIGHTS = {"RestrictSUIDSGID": "yes", **PERSONALITY, "SystemCallArchitectures": "native"}
CALLS = {"SystemCallFilter": "@system-service"}
PACKAGED = {**FILES, **KERNEL, **NETWORK, **RIGHTS}
"""What a server of a package is denied beside its own unit's."""
WHOLE = {
    **PACKAGED,
    **CALLS,
    "ProtectKernelLogs": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
}
"""What those are denied that run the app's code, or speak for it."""

SANDBOXES: dict[str, dict[str, str]] = {
    "common/webstack-session-manager.service": {},
    "common/webstack-report.service": {**PACKAGED, **CALLS, "MemoryDenyWriteExecute": "yes"},
    "database/mysql.service": {"ProtectSystem": "full", "ProtectHome": "yes", "PrivateTmp": "yes"},
    "database/webstack-database-accounts.service": FILES,
    # It opens the volume's device, to learn its size.
    "database/webstack-data-volume.service": {
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "RestrictAddressFamilies": "AF_UNIX",
        **PERSONALITY,
    },
    "database/webstack-database-agent.service": {**FILES, **NETWORK, **PERSONALITY},
    "database/webstack-database-check.service": {**FILES, **NETWORK, **PERSONALITY},
    "load_balancer/webstack-elastic-ip.service": {**PACKAGED, **CALLS, "MemoryDenyWriteExecute": "yes"},
    "load_balancer/haproxy.service.d/webstack.conf": PACKAGED,
    "load_balancer/webstack-reconfigure.service": {**PACKAGED, **CALLS},
    # It sets addresses, opens raw sockets and is told of links by the kernel.
    "load_balancer/keepalived.service.d/webstack.conf": {
        "ProtectHome": "yes",
        "PrivateDevices": "yes",
        "ProtectKernelModules": "yes",
        "LockPersonality": "yes",
        "SystemCallArchitectures": "native",
    },
    "web/nginx.service.d/webstack.conf": PACKAGED,
    "web/webstack-app.service": WHOLE,
    "web/webstack-migrate.service": WHOLE,
    "web/webstack-database-proxy.service": WHOLE,
    "web/webstack-await-primary.service": WHOLE,
    "web/webstack-database-ca.service": WHOLE,
    "web/webstack-secrets.service": WHOLE,
    "web/webstack-drain.service": {},
}
"""What a service is denied besides; what its package's own unit denies is not repeated here."""
DENIES = ("Protect", "Private", "Restrict", "Lock", "SystemCall", "MemoryDeny")


def services() -> dict[str, Path]:
    """Every unit of a service, and every addition to one, by role and name."""
    found: dict[str, Path] = {}
    for folder in sorted(ROOT.glob("*/etc/systemd/system")):
        for pattern in ("*.service", "*.service.d/*.conf"):
            for path in folder.glob(pattern):
                found[f"{folder.relative_to(ROOT).parts[0]}/{path.relative_to(folder)}"] = path
    return found


def section(path: Path) -> configparser.SectionProxy:
    """A unit's `Service`; of a key that stands twice the last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] - as configparser's documentation has it
    parser.read_string(path.read_text())
    return parser["Service"]


def test_every_service_stands_in_the_table() -> None:
    assert set(services()) == set(TABLE) == set(SANDBOXES)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_service_has_the_rights_of_the_table_and_no_more(name: str) -> None:
    found = section(services()[name])
    dynamic = found.get("DynamicUser", "no") == "yes"
    strict = found.get("ProtectSystem") == "strict"
    assert TABLE[name] == Rights(
        user=found.get("User", "" if dynamic else ROOT_USER),
        dynamic=dynamic,
        capabilities=found.get("CapabilityBoundingSet", KEEPS),
        no_new_privileges=found.get("NoNewPrivileges", "no") in ("yes", "true"),
        writes=found.get("ReadWritePaths", "") if strict else None,
    )


@pytest.mark.parametrize("name", sorted(SANDBOXES))
def test_a_service_is_denied_what_the_table_says(name: str) -> None:
    found = {key: value for key, value in section(services()[name]).items() if key.startswith(DENIES)}
    if TABLE[name].writes is not None:
        assert found.pop("ProtectSystem") == "strict"
    said = {key: " ".join(sorted("yes" if word == "true" else word for word in value.split())) for key, value in found.items()}
    assert said == SANDBOXES[name]


def test_the_apps_socket_is_nginxs_alone() -> None:
    found = section(services()["web/webstack-app.service"])
    assert (found["Group"], found["RuntimeDirectoryMode"]) == ("www-data", "0750")
