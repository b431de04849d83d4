"""`webstack rotate`: other passwords, another session key, another certificate, while the site serves."""

from pathlib import Path
from typing import Annotated

import typer

from ops.errors import UserError
from ops.options import JsonOption
from stack.secret_specs import DATABASE_SECRETS, ROTATABLE_SECRETS, SESSION_KEY

TLS = "tls"
ALIASES = {"database": DATABASE_SECRETS, "session-key": (SESSION_KEY,)}
TARGETS = (*ALIASES, *DATABASE_SECRETS, TLS)

WhatArgument = Annotated[
    list[str] | None, typer.Argument(metavar="WHAT…", help=f"{', '.join(ALIASES)}, {', '.join(DATABASE_SECRETS)} or {TLS}.")
]
StackOption = Annotated[str, typer.Option("--stack", help="The environment: Pulumi.<stack>.yaml.")]
LabOption = Annotated[str | None, typer.Option("--lab", help="In this lab; without it on AWS, with your credentials.")]
FromOption = Annotated[Path | None, typer.Option("--from", help="For tls: a PEM file with certificate, chain and unencrypted key.")]
SecretOption = Annotated[
    str | None, typer.Option("--secret", help="For tls: the secret's name; without it the one of loadBalancer.tls.secret.")
]


def rotate(
    what: WhatArgument = None,
    stack: StackOption = "dev",
    lab: LabOption = None,
    everything: Annotated[bool, typer.Option("--all", help="The session key and all passwords of the databases.")] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="For session-key: then refuse what earlier keys signed, so that all visitors log in anew.")
    ] = False,
    source: FromOption = None,
    secret: SecretOption = None,
    timeout: Annotated[int, typer.Option("--timeout", min=10, help="Seconds until it ends although hosts are not there yet.")] = 300,
    as_json: JsonOption = False,
) -> None:
    """Give running hosts other secrets, without an outage.

    Each host accepts the new one before anybody uses it, and the old one is refused only when nobody does any more. How far it came is in
    Secrets Manager's labels and in the hosts' own words: interrupted, the same command goes on. Examples:

    webstack rotate database --stack prod; webstack rotate session-key --revoke; webstack rotate tls --from site.pem --lab default
    """
    purposes = _purposes(what or [], everything=everything)
    tls = TLS in (what or [])
    _check(purposes, tls=tls, revoke=revoke, source=source, secret=secret)
    from ops.rotation import command  # AWS's libraries take a second to load

    command.run(stack, lab, purposes, revoke=revoke, source=source if tls else None, secret=secret, seconds=timeout, as_json=as_json)


def _purposes(what: list[str], *, everything: bool) -> list[str]:
    for one in what:
        if one not in TARGETS:
            raise UserError(f"{one!r}: no secret of a stack; one of {', '.join(TARGETS)}")
    if everything:
        return list(ROTATABLE_SECRETS)
    chosen = [purpose for one in what for purpose in ALIASES.get(one, () if one == TLS else (one,))]
    return list(dict.fromkeys(chosen))


def _check(purposes: list[str], *, tls: bool, revoke: bool, source: Path | None, secret: str | None) -> None:
    if not purposes and not tls:
        raise UserError(f"say what: one or more of {', '.join(TARGETS)}, or --all")
    if tls and source is None:
        raise UserError("tls: give the new certificate, its chain and its key: --from FILE")
    if not tls and (source is not None or secret is not None):
        raise UserError("--from and --secret are for tls: webstack rotate tls --from FILE")
    if revoke and SESSION_KEY not in purposes:
        raise UserError("--revoke is for session-key: the old password of an account is always refused in the end")
