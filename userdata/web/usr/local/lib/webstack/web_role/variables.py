"""A web host's parameters."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from webstack_host.variables import Bundle, DatabaseEndpoint, HostVariables


@dataclass(frozen=True, kw_only=True)
class WebVariables(HostVariables):
    """All parameters of a web host."""

    packages: ClassVar[tuple[str, ...]] = (
        "gpgv", "haproxy", "logrotate", "nginx", "openssl", "python3-boto3", "python3-pymysql", "python3-venv", "unattended-upgrades",
    )  # fmt: skip
    role: Literal["web"] = "web"
    app_bundle: Bundle
    app_module: str
    """The WSGI callable, `module:name`."""
    load_balancer_addresses: tuple[str, ...]
    """The addresses of all planned load balancers, which are trusted to report the client's address."""
    databases: tuple[DatabaseEndpoint, ...]
    schema: str
    workers: int
    """Gunicorn's worker processes; 0 derives them from the host's processors."""
    drain_seconds: int
    """How long a stopping host answers `/healthz` with 503 before it stops serving."""
    migrate_timeout: int
    """Seconds after which one run of `migrate.py` is stopped."""
    site_host: str
    """The site's host name: sent in the app's checks, and passed to the app as SITE_HOST."""
    check_path: str
    """The app's path behind Nginx's `/healthz`."""
    ready_path: str
    """The app's path behind Nginx's `/readyz`."""
