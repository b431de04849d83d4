"""What each service may do on its host, as one table: whom it runs as, its capabilities, what it may write.

https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
"""

import configparser
from dataclasses import dataclass
from pathlib import Path

import pytest

from userdata.render import ROOT

ROOT_USER = "root"
ALL_CAPABILITIES = "all"
"""A service that keeps every capability of its user."""


@dataclass(frozen=True, kw_only=True)
class ServicePrivileges:
    """A service's: `writes` is what it may write under a strictly protected system; None where the system is not strictly protected."""

    user: str
    capabilities: str
    no_new_privileges: bool
    writes: str | None
    dynamic: bool = False


PRIVILEGES = {
    # It installs a package from AWS's bucket, as root.
    "common/webstack-session-manager.service": ServicePrivileges(
        user=ROOT_USER, capabilities=ALL_CAPABILITIES, no_new_privileges=False, writes=None
    ),
    # It installs packages.
    "common/webstack-upgrade.service": ServicePrivileges(
        user=ROOT_USER, capabilities=ALL_CAPABILITIES, no_new_privileges=False, writes=None
    ),
    # It asks systemd, HAProxy's socket and the journal, all root's own.
    "common/webstack-report.service": ServicePrivileges(user=ROOT_USER, capabilities="", no_new_privileges=True, writes=""),
    # It puts rules of nftables into the kernel.
    "common/webstack-firewall.service": ServicePrivileges(user=ROOT_USER, capabilities="CAP_NET_ADMIN", no_new_privileges=True, writes=""),
    "database/mysql.service": ServicePrivileges(user="mysql", capabilities="", no_new_privileges=True, writes="/var/lib/mysql"),
    # It asks MySQL as root, by its socket, and leaves word for the agent in the agent's folder.
    "database/webstack-database-accounts.service": ServicePrivileges(
        user=ROOT_USER, capabilities="CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER", no_new_privileges=True, writes="/run/webstack/database"
    ),
    # It extends a mounted file system.
    "database/webstack-data-volume.service": ServicePrivileges(
        user=ROOT_USER, capabilities="CAP_SYS_ADMIN", no_new_privileges=True, writes="/var/lib/mysql /run/webstack"
    ),
    "database/webstack-database-agent.service": ServicePrivileges(
        user="webstack-agent",
        capabilities="",
        no_new_privileges=True,
        writes="/run/webstack/database /var/lib/mysql/trust /var/lib/mysql/webstack",
    ),
    "database/webstack-database-check.service": ServicePrivileges(
        user="webstack-check", capabilities="", no_new_privileges=True, writes=""
    ),
    "load_balancer/webstack-elastic-ip.service": ServicePrivileges(user=ROOT_USER, capabilities="", no_new_privileges=True, writes=""),
    "load_balancer/haproxy.service.d/webstack.conf": ServicePrivileges(
        user=ROOT_USER,
        capabilities="CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_SYS_CHROOT CAP_KILL CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE "
        "CAP_SYS_RESOURCE",
        no_new_privileges=True,
        writes="/run",
    ),
    # It puts HAProxy's configuration and certificate in place, tries them, and asks systemd for the reload.
    "load_balancer/webstack-reconfigure.service": ServicePrivileges(
        user=ROOT_USER,
        capabilities="CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER",
        no_new_privileges=True,
        writes="/etc/haproxy /etc/webstack /run /var/lib/webstack",
    ),
    # It sets addresses and opens raw sockets.
    "load_balancer/keepalived.service.d/webstack.conf": ServicePrivileges(
        user=ROOT_USER,
        capabilities="CAP_NET_ADMIN CAP_NET_RAW CAP_SETUID CAP_SETGID CAP_KILL CAP_DAC_OVERRIDE CAP_SYS_NICE",
        no_new_privileges=True,
        writes="/run",
    ),
    "web/nginx.service.d/webstack.conf": ServicePrivileges(
        user=ROOT_USER,
        capabilities="CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL CAP_SYS_RESOURCE",
        no_new_privileges=True,
        writes="/run /var/log/nginx /var/lib/nginx",
    ),
    "web/webstack-app.service": ServicePrivileges(user="webstack-app", capabilities="", no_new_privileges=True, writes="", dynamic=True),
    "web/webstack-migrate.service": ServicePrivileges(user="", capabilities="", no_new_privileges=True, writes="", dynamic=True),
    "web/webstack-database-proxy.service": ServicePrivileges(user="", capabilities="", no_new_privileges=True, writes="", dynamic=True),
    "web/webstack-await-primary.service": ServicePrivileges(
        user=ROOT_USER, capabilities="", no_new_privileges=True, writes="/run/webstack"
    ),
    "web/webstack-database-ca.service": ServicePrivileges(user=ROOT_USER, capabilities="", no_new_privileges=True, writes="/run/webstack"),
    # It writes the app's environment, also into the app's own folder, and asks systemd for the reload.
    "web/webstack-secrets.service": ServicePrivileges(
        user=ROOT_USER, capabilities="CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER", no_new_privileges=True, writes="/run"
    ),
    # It touches a file and waits.
    "web/webstack-drain.service": ServicePrivileges(user=ROOT_USER, capabilities="", no_new_privileges=True, writes="/run/webstack"),
}

FULL_SANDBOX = {
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
}
"""What every service is denied that has no reason against it."""
FULL_SANDBOX_NO_PROC = {**FULL_SANDBOX, "ProtectProc": "invisible"}
"""Of what visitors reach, and what runs the app's code, besides: it does not see what others run (proc(5), hidepid)."""
DEVICE_OPTIONS = ("PrivateDevices", "ProtectClock")
"""What keeps a service from devices: a clock that is protected is a device that alone is let through."""

SANDBOXES: dict[str, dict[str, str]] = {
    "common/webstack-session-manager.service": {},
    "common/webstack-upgrade.service": {},
    "common/webstack-report.service": {**FULL_SANDBOX, "MemoryDenyWriteExecute": "yes"},
    "common/webstack-firewall.service": {**FULL_SANDBOX, "RestrictAddressFamilies": "AF_NETLINK", "MemoryDenyWriteExecute": "yes"},
    "database/mysql.service": FULL_SANDBOX,
    "database/webstack-database-accounts.service": FULL_SANDBOX,
    # It opens the volume's device, to learn its size, and speaks to nobody on the network.
    "database/webstack-data-volume.service": {
        **{key: value for key, value in FULL_SANDBOX.items() if key not in DEVICE_OPTIONS},
        "RestrictAddressFamilies": "AF_UNIX",
    },
    "database/webstack-database-agent.service": FULL_SANDBOX,
    "database/webstack-database-check.service": FULL_SANDBOX,
    "load_balancer/webstack-elastic-ip.service": {**FULL_SANDBOX, "MemoryDenyWriteExecute": "yes"},
    # It shuts its workers into an empty folder.
    "load_balancer/haproxy.service.d/webstack.conf": {**FULL_SANDBOX, "SystemCallFilter": "@system-service chroot"},
    "load_balancer/webstack-reconfigure.service": FULL_SANDBOX,
    # It sets addresses, opens raw sockets and is told of links by the kernel.
    "load_balancer/keepalived.service.d/webstack.conf": {
        **FULL_SANDBOX,
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX",
    },
    "web/nginx.service.d/webstack.conf": FULL_SANDBOX_NO_PROC,
    "web/webstack-app.service": FULL_SANDBOX_NO_PROC,
    "web/webstack-migrate.service": FULL_SANDBOX_NO_PROC,
    "web/webstack-database-proxy.service": FULL_SANDBOX_NO_PROC,
    "web/webstack-await-primary.service": FULL_SANDBOX,
    "web/webstack-database-ca.service": FULL_SANDBOX,
    "web/webstack-secrets.service": FULL_SANDBOX,
    "web/webstack-drain.service": FULL_SANDBOX,
}
"""What a service is denied besides; what its package's own unit denies is not repeated here."""
SANDBOX_PREFIXES = ("Protect", "Private", "Restrict", "Lock", "SystemCall", "MemoryDeny")


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
    assert set(services()) == set(PRIVILEGES) == set(SANDBOXES)


@pytest.mark.parametrize("name", sorted(PRIVILEGES))
def test_a_service_has_the_rights_of_the_table_and_no_more(name: str) -> None:
    found = section(services()[name])
    dynamic = found.get("DynamicUser", "no") == "yes"
    strict = found.get("ProtectSystem") == "strict"
    assert PRIVILEGES[name] == ServicePrivileges(
        user=found.get("User", "" if dynamic else ROOT_USER),
        dynamic=dynamic,
        capabilities=found.get("CapabilityBoundingSet", ALL_CAPABILITIES),
        no_new_privileges=found.get("NoNewPrivileges", "no") in ("yes", "true"),
        writes=found.get("ReadWritePaths", "") if strict else None,
    )


@pytest.mark.parametrize("name", sorted(SANDBOXES))
def test_a_service_is_denied_what_the_table_says(name: str) -> None:
    found = {key: value for key, value in section(services()[name]).items() if key.startswith(SANDBOX_PREFIXES)}
    if PRIVILEGES[name].writes is not None:
        assert found.pop("ProtectSystem") == "strict"
    said = {key: " ".join(sorted("yes" if word == "true" else word for word in value.split())) for key, value in found.items()}
    assert said == SANDBOXES[name]


def test_the_apps_socket_is_nginxs_alone() -> None:
    found = section(services()["web/webstack-app.service"])
    assert (found["Group"], found["RuntimeDirectoryMode"]) == ("www-data", "0750")
