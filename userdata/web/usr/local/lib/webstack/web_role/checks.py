"""Whether this web host serves: the app's own deep check, asked through Nginx."""

import http.client

from webstack_host import services
from webstack_host.config import HostConfig
from webstack_host.readiness import Check

from web_role import migration

UNITS = ("webstack-database-proxy.service", "webstack-migrate.service", "webstack-app.service", "nginx.service")
"""In the order in which they start."""
PORT = 8080


def check(config: HostConfig) -> Check:
    """The first unit that does not run yet, with its log; else what /readyz says."""
    for unit in UNITS:
        if not services.is_active(unit) and not (unit == "webstack-migrate.service" and skipped(unit)):
            return migration.not_done() if unit == migration.UNIT else Check(ok=False, reason=f"{unit} does not run yet", units=(unit,))
    try:
        status, body = get("/readyz")
    except OSError as error:
        return Check(ok=False, reason=f"Nginx does not answer: {error}", units=("nginx.service",))
    if status != http.HTTPStatus.OK:
        return Check(ok=False, reason=f"/readyz answers {status}", detail=[body[:500]], units=("webstack-app.service",))
    return Check(ok=True, reason="serves the app", facts={"release": config.app_bundle.sha256[:16]})


def skipped(unit: str) -> bool:
    """Whether systemd passed the unit over, as it does with an app that has no migrations."""
    shown = services.show([unit], ["ConditionResult", "ConditionTimestampMonotonic"]).get(unit, {})
    # Until it has looked, systemd says `no` as well.
    return shown.get("ConditionResult") == "no" and shown.get("ConditionTimestampMonotonic") != "0"


def get(path: str) -> tuple[int, str]:
    """Status and body of a page of this host's Nginx."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
