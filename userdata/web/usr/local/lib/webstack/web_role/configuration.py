"""Installs a web host's files and validates each with its own program."""

from pathlib import Path

from webstack_host import files, internal_tls, services, stack_secrets
from webstack_host.run import validate

from web_role import database_ca, environment, release, secret_sync
from web_role.variables import WebVariables

PROXY_CONFIG = "/etc/webstack/database-proxy.cfg"
TLS_KEY, TLS_CERTIFICATE = "/run/webstack/web.key", "/run/webstack/web.pem"
"""The files that Nginx's conf.d/tls.conf names."""
NGINX_LOGS = Path("/var/log/nginx")


def configure(variables: WebVariables) -> None:
    """Installs the release and the app's environment, and validates the configuration files, which user data has already written."""
    services.disable_vendor_units("nginx.service", "haproxy.service")
    files.directory("/run/webstack")
    changed = release.install(variables.app_bundle.key, variables.app_bundle.sha256)
    found = environment.fetch(stack_secrets.SecretCache())
    changed |= environment.write(variables, found)
    database_ca.refresh()
    key, certificate = internal_tls.key_and_certificate()
    files.write(TLS_KEY, key, mode=0o600)
    files.write(TLS_CERTIFICATE, certificate)
    validate(["haproxy", "-c", "-f", PROXY_CONFIG])
    validate(["nginx", "-t", "-q"])
    for log in NGINX_LOGS.glob("*.log"):
        log.chmod(0o640)  # the package makes them world-readable
    services.reload_if_running("webstack-database-proxy.service", "nginx.service")
    if changed:
        services.restart_if_running("webstack-migrate.service", "webstack-app.service")
    secret_sync.save_versions(found)
