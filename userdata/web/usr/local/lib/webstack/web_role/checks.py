"""Whether this web host serves: its Nginx is asked what load balancers ask, word for word, and besides the app's own deep check."""

import http
import socket
from pathlib import Path

from webstack_host import answers, secrets, services
from webstack_host.answers import Answer
from webstack_host.config import HostConfig
from webstack_host.readiness import Check

from web_role import following, migration

UNITS = ("webstack-database-proxy.service", "webstack-migrate.service", "webstack-app.service", "nginx.service")
"""In the order in which they start."""
PORT = 8080
DRAINING = Path("/run/webstack/draining")
PATIENCE = 10.0
"""Seconds for an answer; Nginx itself waits 2 s for /healthz."""


def check(config: HostConfig) -> Check:
    """The first unit that does not run yet, with its log; else what the app answers to /healthz, and then to /readyz."""
    for unit in UNITS:
        if not services.is_active(unit) and not (unit == "webstack-migrate.service" and skipped(unit)):
            return migration.not_done() if unit == migration.UNIT else Check(ok=False, reason=f"{unit} does not run yet", units=(unit,))
    if DRAINING.exists():
        return Check(ok=False, reason="drains: load balancers are told to leave this host, which is about to stop")
    for path, asked, setting in (("/healthz", config.check_path, "web.checkPath"), ("/readyz", config.ready_path, "web.readyPath")):
        try:
            answer = ask(path, config.site_host)
        except OSError as error:
            return Check(ok=False, reason=f"Nginx does not answer: {error}", units=("nginx.service",))
        if not answer.ok:
            return refused(answer, asked, setting=setting, site=config.site_host)
    return Check(ok=True, reason="serves the app", facts={"release": config.app_bundle.sha256[:16], **secrets.fact(following.told())})


def refused(answer: Answer, path: str, *, setting: str, site: str) -> Check:
    """A failed check in words: who was asked what, the answer's first lines and what to change."""
    question = f"GET {path} (Host {site}, https)"
    match answer.status:
        case http.HTTPStatus.BAD_GATEWAY:
            reason = f"the app gives no answer to {question}: Nginx says 502"
        case http.HTTPStatus.GATEWAY_TIMEOUT:
            reason = f"the app does not answer {question} in time: Nginx says 504"
        case status:
            reason = f"the app answers {question} with {status}"
    change = answers.remedy(answer.status, site=site, setting=setting, location=answer.location)
    detail = [*([change] if change else []), *answer.lines()]
    # A server's error passes when a database comes back; a redirect or a client's error is the app's own decision.
    return Check(ok=False, reason=reason, detail=detail, units=("webstack-app.service",), refused=300 <= answer.status < 500)


def skipped(unit: str) -> bool:
    """Whether systemd passed the unit over, as it does with an app that has no migrations."""
    shown = services.show([unit], ["ConditionResult", "ConditionTimestampMonotonic"]).get(unit, {})
    # Until it has looked, systemd says `no` as well.
    return shown.get("ConditionResult") == "no" and shown.get("ConditionTimestampMonotonic") != "0"


def ask(path: str, site: str, *, port: int = PORT) -> Answer:
    """What this host's Nginx answers to the request of HAProxy's checks (`http-check send` in haproxy.cfg)."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    return answers.ask(connection, path, {"Host": site, "X-Forwarded-Proto": "https"})
