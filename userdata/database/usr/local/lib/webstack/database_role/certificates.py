"""TLS between hosts without an authority that anybody else holds.

Each database host makes a key on its data volume and certifies itself: names are its DNS name, its address and 127.0.0.1 (the app
reaches it through a proxy on its own host). The certificate goes to a bucket key that only this instance can write; whoever connects
trusts those under that prefix that are one host's own (`webstack_host.database_certificates`). Verification checks
the name as well, and none of them is an authority's (CA:FALSE): one host's key can neither stand for the other nor sign a certificate
that does.
"""

import secrets
from pathlib import Path

from webstack_host import aws, database_certificates, files
from webstack_host.run import run

from . import paths
from .variables import DatabaseVariables

VALID_DAYS = 3650
REPUBLISH_INTERVAL = 86400.0
"""Seconds after which a host puts its certificate again: the bucket forgets those that nobody renews (stack/artifacts.py)."""
EXTENSIONS = ("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth")
"""Python 3.13 is strict on them (`VERIFY_X509_STRICT`), and takes a certificate that it is told to trust without an authority above it
(`VERIFY_X509_PARTIAL_CHAIN`): https://docs.python.org/3.13/library/ssl.html#ssl.create_default_context."""


def ensure_pair(variables: DatabaseVariables) -> None:
    """Makes key and certificate where they are missing, or are for other names or purposes than now. mysqld must not run."""
    names = f"DNS:{variables.dns_name},IP:{variables.private_address},IP:127.0.0.1"
    record, wanted = paths.TLS / "names", "\n".join([names, *EXTENSIONS])
    if paths.TLS_KEY.exists() and paths.TLS_CERTIFICATE.exists() and record.exists() and record.read_text() == wanted:
        return
    # The subject is unique to this key: two certificates of one name would make the choice between them a guess.
    run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(VALID_DAYS)),
            *("-subj", f"/CN={variables.host} {secrets.token_hex(8)}", "-addext", f"subjectAltName={names}"),
            *(word for extension in EXTENSIONS for word in ("-addext", extension)),
            *("-keyout", paths.TLS_KEY, "-out", paths.TLS_CERTIFICATE),
        ]
    )
    files.write(paths.TLS_KEY, paths.TLS_KEY.read_text(), group="mysql", mode=0o640)
    files.write(paths.TLS_CERTIFICATE, paths.TLS_CERTIFICATE.read_text(), group="mysql")
    files.write(record, wanted)


def publish() -> None:
    """Puts this host's certificate where the others look for it."""
    aws.put_object(f"{database_certificates.PREFIX}{aws.user_id()}.pem", paths.TLS_CERTIFICATE.read_bytes())


def refresh(own: Path = paths.TLS_CERTIFICATE) -> bool:
    """Trusts what is published now, and always this host's own; returns whether that changed. Raises what the AWS API raises."""
    found = {own.read_text()} if own.exists() else set[str]()
    found.update(database_certificates.fetch_published())
    return files.write(paths.TRUSTED_CERTIFICATES, "".join(sorted(found)), owner=paths.AGENT_USER, group=paths.AGENT_USER)
