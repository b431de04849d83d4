"""Puts a load balancer's files in place and validates each by its own program.

The user data brings keepalived's; HAProxy's and the certificate come from the configuration object, by a reload where HAProxy runs.
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
"""The one certificate that web hosts are known by."""
TLS_INTERVAL = 45.0
"""Seconds between two looks at the secret of the certificate: a renewed one is served within a minute."""
REAPPLY_INTERVAL = 300.0
"""Seconds after which what is in force is applied again where nothing outside of it can change."""
RELOAD_TIMEOUT = 20.0
"""Seconds in which the new worker of a reload answers."""


def configure() -> None:
    """keepalived; user data has written its configuration already."""
    services.disable_vendor_units(HAPROXY, "keepalived.service")
    files.directory(RUN_FOLDER)
    files.write(WEB_CERTIFICATE, internal_tls.key_and_certificate()[1])
    # The kernel's own value again: a host that had 1 from us before boots with it once more, as its file goes after that is read.
    run(["sysctl", "--quiet", "--write", "net.ipv4.tcp_retries2=15"])
    validate(["keepalived", "--config-test", "--log-console", "--use-file", KEEPALIVED_CONFIG])
    services.reload_if_running("keepalived.service")


def reapply_interval(configuration: LoadBalancerConfiguration) -> float:
    """Seconds: a certificate in a secret may be renewed at any time; one of this host's own changes with what is applied."""
    return TLS_INTERVAL if configuration.tls_mode == "secret" else REAPPLY_INTERVAL


def apply_configuration(configuration: LoadBalancerConfiguration, rendered: Mapping[str, str]) -> bool:
    """HAProxy's configuration and the certificate, tried together and then put in place; returns whether either changed."""
    text, pem = rendered[HAPROXY_CONFIG], tls.pem(configuration)
    with tempfile.TemporaryDirectory(dir=RUN_FOLDER) as folder:
        candidate, certificate = Path(folder, "haproxy.cfg"), Path(folder, "tls.pem")
        files.write(certificate, pem, mode=0o600)
        files.write(candidate, text.replace(str(tls.SERVED_FILE), str(certificate)))
        validate(["haproxy", "-c", "-f", candidate])
    changed = files.write(tls.SERVED_FILE, pem, mode=0o600)
    return files.write(HAPROXY_CONFIG, text) or changed


def reload() -> None:
    """Makes a running HAProxy take over what is in place, and waits until its new worker answers. Raises PermanentError."""
    if not services.is_active(HAPROXY):
        return
    before = haproxy.worker()
    validate(["systemctl", "reload", HAPROXY])
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while haproxy.worker() in ("", before):
        if time.monotonic() > deadline:
            raise PermanentError("HAProxy did not take over its new configuration\n" + "\n".join(services.journal([HAPROXY], 6)))
        time.sleep(0.1)
