"""The work of `webstack rotate`, once its arguments have been checked."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from lab.engine.workspace import read_config
from lab.lab_handle import LabHandle
from lab.paths import REPOSITORY
from ops.errors import UserError
from ops.rotation import certificate, clients
from ops.rotation.fleet import Fleet
from ops.rotation.steps import ProgressCallback
from ops.rotation.waiting import not_yet_serving, rotate, wait
from ops.terminal import Terminal


def run(
    stack: str,
    lab: str | None,
    purposes: Sequence[str],
    *,
    revoke: bool,
    source: Path | None,
    secret: str | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Stores the certificate of `source` in its secret, rotates the secrets of `purposes`, and reports progress. Raises LabError."""
    progress = Terminal(stderr=True)

    def on_progress(text: str) -> None:
        progress.print(text, soft_wrap=True)

    pem = certificate.read(source) if source is not None else None
    named = (secret or _configured_secret(stack)) if pem is not None else ""
    opened = (
        clients.clients_for_lab(REPOSITORY, stack, LabHandle.of(lab)) if lab is not None else clients.clients_for_aws(REPOSITORY, stack)
    )
    fleet = Fleet(opened, stack)
    try:
        if pem is not None:
            _rotate_certificate(opened, fleet, pem, named, seconds=seconds, on_progress=on_progress)
        if purposes:
            rotate(fleet, purposes, revoke=revoke, timeout=seconds, on_progress=on_progress)
        if as_json:
            print(json.dumps(_result(fleet, purposes, pem), indent=2))
    except KeyboardInterrupt:
        on_progress("Old and new secrets are both accepted. Run the same command again to continue.")
        raise
    except (ClientError, BotoCoreError) as error:
        raise UserError(
            f"AWS refused or did not answer: {error}\nOld and new secrets are both accepted. Run the same command again to continue."
        ) from error


def _configured_secret(stack: str) -> str:
    """The secret that the stack's file names for its certificate."""
    section = read_config(REPOSITORY, stack).get("webstack:loadBalancer")
    given: Any = json.loads(section) if isinstance(section, str) else section
    tls = cast("dict[str, Any]", given).get("tls") if isinstance(given, dict) else None
    name = cast("dict[str, Any]", tls).get("secret") if isinstance(tls, dict) else None
    if not isinstance(name, str) or not name:
        raise UserError(
            f"tls: Pulumi.{stack}.yaml names no secret for a certificate. Give --secret NAME; to serve that certificate, set "
            "loadBalancer.tls to `mode: secret` and `secret: NAME` in that file and run `up`"
        )
    return name


def _rotate_certificate(
    opened: clients.AwsClients, fleet: Fleet, pem: certificate.Pem, secret: str, *, seconds: float, on_progress: ProgressCallback
) -> None:
    made = certificate.store(opened, secret, pem)
    names = f" for {', '.join(pem.dns_names)}" if pem.dns_names else ""
    on_progress(f"tls: {secret} {'was created and ' if made else ''}holds the certificate{names}, valid until {pem.not_after:%Y-%m-%d}")
    if made or not any(
        host.facts.get("tls_secret") == secret or (host.role == "load_balancer" and host.record_error) for host in fleet.hosts()
    ):
        on_progress("tls: no load balancer uses this secret yet: set loadBalancer.tls to `mode: secret` and run `up`")
        return
    wait(lambda: not_yet_serving(fleet.hosts(), secret, pem.fingerprint), timeout=seconds, on_progress=on_progress)
    on_progress("tls: done, every load balancer serves it")


def _result(fleet: Fleet, purposes: Sequence[str], pem: certificate.Pem | None) -> dict[str, object]:
    secrets = {
        purpose: {"current": found.current, "previous": found.previous} for purpose in purposes for found in [fleet.staging_labels(purpose)]
    }
    served = {"certificate": pem.fingerprint} if pem is not None else {}
    return {"secrets": secrets, **served, "hosts": {host.name: dict(host.facts) for host in fleet.hosts()}}
