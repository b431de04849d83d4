"""`webstack rotate`: replaces passwords, the session key or the certificate while the site serves."""

from pathlib import Path
from typing import Annotated

import typer

from ops.errors import UserError
from ops.options import JsonOption
from stack.secret_specs import DATABASE_SECRETS, ROTATABLE_SECRETS, SESSION_KEY

TLS = "tls"
ALIASES = {"database": DATABASE_SECRETS, "session-key": (SESSION_KEY,)}
TARGETS = (*ALIASES, *DATABASE_SECRETS, TLS)

TargetsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="WHAT…", help=f"{', '.join(ALIASES)}, {', '.join(DATABASE_SECRETS)} or {TLS}.")
]
StackOption = Annotated[str, typer.Option("--stack", help="The environment, configured by Pulumi.<stack>.yaml.")]
LabOption = Annotated[str | None, typer.Option("--lab", help="Rotate in this lab. Without it: on AWS, with your credentials.")]
FromOption = Annotated[
    Path | None, typer.Option("--from", help="For tls: a PEM file with the certificate, its chain and its unencrypted key.")
]
SecretOption = Annotated[str | None, typer.Option("--secret", help="For tls: the name of the secret. Default: loadBalancer.tls.secret.")]


def rotate(
    targets: TargetsArgument = None,
    stack: StackOption = "dev",
    lab: LabOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Rotate the session key and all database passwords.")] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="For session-key: also refuse what earlier keys signed, so every visitor has to log in again.")
    ] = False,
    source: FromOption = None,
    secret: SecretOption = None,
    timeout: Annotated[int, typer.Option("--timeout", min=10, help="Seconds to wait for the hosts before giving up.")] = 300,
    as_json: JsonOption = False,
) -> None:
    """Rotate passwords, the session key or the certificate without an outage.

    Every host accepts the new secret before any host uses it, and the old one is refused only when no host uses it any more. Fails when the
    hosts are not there within --timeout: old and new secrets are both accepted then, and running the same command again continues.

    Examples: webstack rotate database --stack prod; webstack rotate session-key --revoke; webstack rotate tls --from site.pem --lab dev
    """
    purposes = _purposes(targets or [], everything=everything)
    tls = TLS in (targets or [])
    _check(purposes, tls=tls, revoke=revoke, source=source, secret=secret)
    from ops.rotation import command  # AWS's libraries take a second to load

    command.run(stack, lab, purposes, revoke=revoke, source=source if tls else None, secret=secret, seconds=timeout, as_json=as_json)


def _purposes(targets: list[str], *, everything: bool) -> list[str]:
    for one in targets:
        if one not in TARGETS:
            raise UserError(f"{one!r} is not a secret of a stack; give one of {', '.join(TARGETS)}")
    if everything:
        return list(ROTATABLE_SECRETS)
    chosen = [purpose for one in targets for purpose in ALIASES.get(one, () if one == TLS else (one,))]
    return list(dict.fromkeys(chosen))


def _check(purposes: list[str], *, tls: bool, revoke: bool, source: Path | None, secret: str | None) -> None:
    if not purposes and not tls:
        raise UserError(f"nothing to rotate: give one or more of {', '.join(TARGETS)}, or --all")
    if tls and source is None:
        raise UserError("tls needs the new certificate, its chain and its key: give --from FILE")
    if not tls and (source is not None or secret is not None):
        raise UserError("--from and --secret are only for tls: webstack rotate tls --from FILE")
    if revoke and SESSION_KEY not in purposes:
        raise UserError("--revoke is only for session-key: an account's old password is always refused in the end")
