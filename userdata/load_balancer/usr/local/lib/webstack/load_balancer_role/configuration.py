"""Puts a load balancer's files in place and validates each by its own program."""

from webstack_host import files, services
from webstack_host.config import HostConfig
from webstack_host.run import run, validate

from load_balancer_role import tls

HAPROXY_CONFIG = "/etc/haproxy/haproxy.cfg"
KEEPALIVED_CONFIG = "/etc/keepalived/keepalived.conf"
SYSCTL = "/etc/sysctl.d/90-webstack.conf"


def configure(config: HostConfig) -> None:
    """TLS, kernel settings and validation; user data has written the configurations already."""
    services.take_over("haproxy.service", "keepalived.service")
    files.directory("/run/webstack")
    run(["/usr/lib/systemd/systemd-sysctl", SYSCTL])
    tls.install(config)
    validate(["haproxy", "-c", "-q", "-f", HAPROXY_CONFIG])
    validate(["keepalived", "--config-test", "--log-console", "--use-file", KEEPALIVED_CONFIG])
    services.reload_if_running("haproxy.service", "keepalived.service")
