"""What a web host is told."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from webstack_host.variables import Bundle, DatabaseEndpoint, HostVariables


@dataclass(frozen=True, kw_only=True)
class WebVariables(HostVariables):
    """All that a web host is told."""

    packages: ClassVar[tuple[str, ...]] = (
        "gpgv", "haproxy", "logrotate", "nginx", "openssl", "python3-boto3", "python3-pymysql", "python3-venv", "unattended-upgrades",
    )  # fmt: skip
    role: Literal["web"] = "web"
    app_bundle: Bundle
    app_module: str
    """The WSGI callable, `module:name`."""
    load_balancer_addresses: tuple[str, ...]
    """All planned load balancers: whose word on the client's address is believed."""
    databases: tuple[DatabaseEndpoint, ...]
    schema: str
    workers: int
    """Gunicorn's worker processes; 0 lets the host count its processors."""
    drain_seconds: int
    """How long a stopping host answers `/healthz` with 503 before it stops serving."""
    migrate_timeout: int
    """Seconds after which one run of `migrate.py` is stopped."""
    site_host: str
    """The name that visitors ask for: what the app's checks are asked with, and what it is told as SITE_HOST."""
    check_path: str
    """The app's page behind Nginx's `/healthz`."""
    ready_path: str
    """The app's page behind Nginx's `/readyz`."""
