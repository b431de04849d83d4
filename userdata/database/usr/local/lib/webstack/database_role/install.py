"""MySQL's own packages, where the image has none.

Debian 13 carries no MySQL. On AWS it comes from MySQL's repository; where apt already knows a `mysql-server` (a local mirror), that one is
taken. The package fills and starts a server of its own in /var/lib/mysql and changes owners there; so it is installed in a mount namespace
in which that folder is a scratch one and this stack's configuration is not to be seen. The data volume is never within its reach.
"""

import os
import shutil
from pathlib import Path

from webstack_host import files, services
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
"""What the package's own scripts take for /var/lib/mysql."""

APT = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5", "-q", "-y"]

INSTALL = """set -e
mount --bind "$1" /var/lib/mysql
[ ! -e "$2" ] || mount --bind /dev/null "$2"
shift 2
exec "$@"
"""


def installed() -> bool:
    """Whether this host has a server."""
    return shutil.which("mysqld") is not None


def install() -> None:
    """Installs the server if there is none; raises CommandError with apt's last lines."""
    if not installed():
        scratch = SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        files.directory(scratch)
        files.directory(paths.VOLUME)
        _know_a_server()
        command = [*APT, "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "install", "mysql-server"]
        run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", INSTALL, "sh", scratch, paths.CONFIGURATION, *command],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            timeout=900,
        )
        shutil.rmtree(scratch, ignore_errors=True)
        _hold()
    services.take_over("mysql.service")


def _hold() -> None:
    # An upgrade's scripts would reach the data volume and restart the server at their own time.
    listed = run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", "mysql-*"]).stdout
    run(["apt-mark", "hold", *(line.split()[1] for line in listed.splitlines() if line.startswith("installed "))])


def _know_a_server() -> None:
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
