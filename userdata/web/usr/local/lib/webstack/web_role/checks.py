"""Checks whether this web host serves: sends Nginx exactly the load balancers' request, and then the app's own deep check."""

import http
import socket
from pathlib import Path

from webstack_host import http_check, services, stack_secrets
from webstack_host.http_check import CheckResponse
from webstack_host.readiness import CheckResult

from web_role import migration, secret_sync
from web_role.variables import WebVariables

UNITS = ("webstack-database-proxy.service", "webstack-migrate.service", "webstack-app.service", "nginx.service")
"""The units, in the order in which they start."""
PORT = 8080
DRAINING = Path("/run/webstack/draining")
TIMEOUT = 10.0
"""Seconds that a response may take; Nginx itself waits 2 s for /healthz."""


def check(variables: WebVariables) -> CheckResult:
    """Returns the first unit that does not run yet, with its log, or else the results of /healthz and then /readyz."""
    for unit in UNITS:
        if not services.is_active(unit) and not (unit == "webstack-migrate.service" and was_skipped(unit)):
            return (
                migration.pending_check()
                if unit == migration.UNIT
                else CheckResult(ok=False, reason=f"{unit} does not run yet", units=(unit,))
            )
    if DRAINING.exists():
        return CheckResult(ok=False, reason="drains: load balancers are told to leave this host, which is about to stop")
    for path, app_path, setting in (
        ("/healthz", variables.check_path, "web.checkPath"),
        ("/readyz", variables.ready_path, "web.readyPath"),
    ):
        try:
            response = get_page(path, variables.site_host)
        except OSError as error:
            return CheckResult(ok=False, reason=f"Nginx does not answer: {error}", units=("nginx.service",))
        if not response.ok:
            return failed_check(response, app_path, setting=setting, site=variables.site_host)
    return CheckResult(
        ok=True,
        reason="serves the app",
        facts={"release": variables.app_bundle.sha256[:16], **stack_secrets.record_fact(secret_sync.load_versions())},
    )


def failed_check(response: CheckResponse, path: str, *, setting: str, site: str) -> CheckResult:
    """Returns the result for a failed check: the request, the response's first lines and what to change."""
    question = f"GET {path} (Host {site}, https)"
    match response.status:
        case http.HTTPStatus.BAD_GATEWAY:
            reason = f"the app gives no answer to {question}: Nginx says 502"
        case http.HTTPStatus.GATEWAY_TIMEOUT:
            reason = f"the app does not answer {question} in time: Nginx says 504"
        case status:
            reason = f"the app answers {question} with {status}"
    change = http_check.remedy(response.status, site=site, setting=setting, location=response.location)
    detail = [*([change] if change else []), *response.excerpt()]
    # A server error passes when a database comes back; a redirect or a client error is the app's own decision.
    return CheckResult(ok=False, reason=reason, detail=detail, units=("webstack-app.service",), refused=300 <= response.status < 500)


def was_skipped(unit: str) -> bool:
    """Whether systemd skipped the unit, as for an app without migrations."""
    shown = services.show([unit], ["ConditionResult", "ConditionTimestampMonotonic"]).get(unit, {})
    # systemd also says `no` before it has evaluated the condition.
    return shown.get("ConditionResult") == "no" and shown.get("ConditionTimestampMonotonic") != "0"


def get_page(path: str, site: str, *, port: int = PORT) -> CheckResponse:
    """Sends this host's Nginx the request of HAProxy's checks (`http-check send` in haproxy.cfg) and returns the response."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    return http_check.get(connection, path, {"Host": site, "X-Forwarded-Proto": "https"})
