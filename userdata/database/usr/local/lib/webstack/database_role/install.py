"""Installs MySQL's packages if the image does not have them.

Debian 13 has no MySQL. On AWS it comes from MySQL's repository; if apt already knows a `mysql-server` (from a local mirror), that one is
used. The package initialises and starts a server in /var/lib/mysql and changes owners there. It is therefore installed in a mount namespace
in which that folder is a scratch folder and this stack's configuration is hidden, so that it can never reach the data volume.
"""

import os
import shutil
from pathlib import Path

from webstack_host import files, services
from webstack_host.packages import AWAIT_APT
from webstack_host.run import CommandError, run

from . import paths

SOURCE = Path("/etc/apt/sources.list.d/mysql.sources")
REPOSITORY = f"""# MySQL 9.7 LTS from its maker, signed by its maker's key.
Types: deb
URIs: http://repo.mysql.com/apt/debian
Suites: trixie
Components: mysql-9.7-lts
Architectures: amd64
Signed-By: {paths.MYSQL_KEY}
"""

SCRATCH = Path("/var/lib/webstack/mysql-install")
"""The scratch folder that the package's scripts see as /var/lib/mysql."""

APT = [AWAIT_APT, "apt-get", "-o", "Acquire::Retries=5", "-q", "-y"]

INSTALL_SCRIPT = """set -e
mount --bind "$1" /var/lib/mysql
[ ! -e "$2" ] || mount --bind /dev/null "$2"
shift 2
exec "$@"
"""


ERROR_LOG = Path("/var/log/mysql/error.log")
"""Where the package's own configuration lets its server write during the installation."""


def installed() -> bool:
    """Whether this host has a server with all its packages configured."""
    return shutil.which("mysqld") is not None and not _unconfigured_packages()


def install() -> None:
    """Installs the server if there is none. Raises CommandError with apt's last lines and the server's."""
    if not installed():
        files.directory(paths.VOLUME)
        if not _unconfigured_packages():
            _ensure_apt_source()
            try:
                _run_isolated([*APT, "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "install", "mysql-server"])
            except CommandError as error:
                if not _unconfigured_packages():
                    raise
                print(f"{error}\n{_error_log_tail()}\nonce more", flush=True)
        if _unconfigured_packages():
            _finish()
        _hold_packages()
    services.disable_vendor_units("mysql.service")


def _finish() -> None:
    # The package's script briefly starts a server, which has failed on a busy host. The next attempt starts in an empty folder.
    try:
        _run_isolated([AWAIT_APT, "dpkg", "--configure", "--pending"])
    except CommandError as error:
        raise CommandError(f"{error}\n{_error_log_tail()}") from error


def _run_isolated(command: list[str]) -> None:
    """Runs a command of apt or dpkg that cannot see the data volume and this stack's configuration."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    files.directory(SCRATCH)
    run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", INSTALL_SCRIPT, "sh", SCRATCH, paths.CONFIGURATION, *command],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        timeout=900,
    )
    shutil.rmtree(SCRATCH, ignore_errors=True)


def _unconfigured_packages() -> list[str]:
    """Returns the server's packages that are unpacked but not configured, as an interrupted or failed installation leaves them."""
    states = {"unpacked", "half-configured", "half-installed", "triggers-awaited", "triggers-pending"}
    return [package for package, state in _packages() if state in states]


def _packages() -> list[tuple[str, str]]:
    listed = run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", "mysql-*"], check=False).stdout
    return [(name, state) for name, _, state in (line.partition(" ") for line in listed.splitlines())]


def _error_log_tail() -> str:
    lines = ERROR_LOG.read_text(errors="replace").splitlines()[-15:] if ERROR_LOG.exists() else ["nothing"]
    return "\n".join([f"{ERROR_LOG} says:", *lines])


def _hold_packages() -> None:
    # An upgrade's scripts would reach the data volume and restart the server at a time of their own.
    run([AWAIT_APT, "apt-mark", "hold", *(package for package, state in _packages() if state == "installed")])


def _ensure_apt_source() -> None:
    if _candidate():
        return
    run([*APT, "update"], timeout=300)
    if _candidate():
        return
    files.write(SOURCE, REPOSITORY)
    run([*APT, "update"], timeout=300)
    if not _candidate():
        raise CommandError(f"apt knows no mysql-server although {SOURCE} names MySQL's repository: can this host reach repo.mysql.com?")


def _candidate() -> bool:
    shown = run(["apt-cache", "policy", "mysql-server"], check=False).stdout
    return any(line.split(":", 1)[1].strip() != "(none)" for line in shown.splitlines() if line.strip().startswith("Candidate:"))
