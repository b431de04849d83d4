"""Installs a load balancer's files and validates each with its own program.

keepalived's configuration comes with the user data; HAProxy's and the certificate come from the configuration object, with a reload.
"""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from webstack_host import files, internal_tls, services
from webstack_host.errors import PermanentError
from webstack_host.run import run, validate

from load_balancer_role import haproxy, tls
from load_balancer_role.variables import LoadBalancerConfiguration

HAPROXY = "haproxy.service"
HAPROXY_CONFIG = "/etc/haproxy/haproxy.cfg"
KEEPALIVED_CONFIG = "/etc/keepalived/keepalived.conf"
RUN_FOLDER = "/run/webstack"
WEB_CERTIFICATE = "/run/webstack/web.pem"
"""The certificate that all web hosts share."""
TLS_INTERVAL = 45.0
"""Seconds between two reads of the certificate's secret: a renewed one is served within a minute."""
REAPPLY_INTERVAL = 300.0
"""Seconds after which the configuration is applied again if nothing outside it can change."""
RELOAD_TIMEOUT = 20.0
"""Seconds within which a reload's new worker must answer."""


def configure() -> None:
    """Prepares the host for both services, and validates keepalived's configuration, which user data has already written."""
    services.disable_vendor_units(HAPROXY, "keepalived.service")
    files.directory(RUN_FOLDER)
    files.write(WEB_CERTIFICATE, internal_tls.key_and_certificate()[1])
    # Reset to the kernel's default: a host to which an earlier release gave 1 boots with it once more, since the file is removed later.
    run(["sysctl", "--quiet", "--write", "net.ipv4.tcp_retries2=15"])
    validate(["keepalived", "--config-test", "--log-console", "--use-file", KEEPALIVED_CONFIG])
    services.reload_if_running("keepalived.service")


def reapply_interval(configuration: LoadBalancerConfiguration) -> float:
    """Returns seconds: a secret's certificate may be renewed at any time; a self-signed one changes only with the configuration."""
    return TLS_INTERVAL if configuration.tls_mode == "secret" else REAPPLY_INTERVAL


def apply_configuration(configuration: LoadBalancerConfiguration, rendered: Mapping[str, str]) -> bool:
    """Validates HAProxy's configuration with the certificate and installs both. Returns whether either changed."""
    text, pem = rendered[HAPROXY_CONFIG], tls.pem(configuration)
    with tempfile.TemporaryDirectory(dir=RUN_FOLDER) as folder:
        candidate, certificate = Path(folder, "haproxy.cfg"), Path(folder, "tls.pem")
        files.write(certificate, pem, mode=0o600)
        files.write(candidate, text.replace(str(tls.SERVED_FILE), str(certificate)))
        validate(["haproxy", "-c", "-f", candidate])
    changed = files.write(tls.SERVED_FILE, pem, mode=0o600)
    return files.write(HAPROXY_CONFIG, text) or changed


def reload() -> None:
    """Reloads a running HAProxy and waits until its new worker answers. Raises PermanentError."""
    if not services.is_active(HAPROXY):
        return
    before = haproxy.worker()
    validate(["systemctl", "reload", HAPROXY])
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while haproxy.worker() in ("", before):
        if time.monotonic() > deadline:
            raise PermanentError("HAProxy did not take over its new configuration\n" + "\n".join(services.journal([HAPROXY], 6)))
        time.sleep(0.1)
