"""TLS between database hosts and their clients, without a certificate authority.

Each database host makes a key on its data volume and a self-signed certificate for its DNS name, its address and 127.0.0.1 (the app reaches
it through a proxy on its own host). It publishes the certificate under a bucket key that only this instance can write; clients trust those
under that prefix that are a single host's own (`webstack_host.database_certificates`). Verification checks the name too, and none is a CA's
(CA:FALSE): one host's key can neither impersonate another host nor sign a certificate that does.
"""

import secrets
from pathlib import Path

from webstack_host import aws, database_certificates, files
from webstack_host.run import run

from . import paths
from .variables import DatabaseVariables

VALID_DAYS = 3650
REPUBLISH_INTERVAL = 86400.0
"""Seconds after which a host publishes its certificate again: the bucket expires old ones (stack/artifacts.py)."""
EXTENSIONS = ("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth")
"""The certificate's extensions. Python 3.13 verifies them strictly (`VERIFY_X509_STRICT`), and accepts a trusted certificate without its CA
(`VERIFY_X509_PARTIAL_CHAIN`): https://docs.python.org/3.13/library/ssl.html#ssl.create_default_context."""


def ensure_pair(variables: DatabaseVariables) -> None:
    """Makes key and certificate if they are missing or are for other names or purposes. mysqld must not be running."""
    names = f"DNS:{variables.dns_name},IP:{variables.private_address},IP:127.0.0.1"
    record, wanted = paths.TLS / "names", "\n".join([names, *EXTENSIONS])
    if paths.TLS_KEY.exists() and paths.TLS_CERTIFICATE.exists() and record.exists() and record.read_text() == wanted:
        return
    # The subject is unique to this key: with two certificates of one name, a client could pick the wrong one.
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
    """Publishes this host's certificate in the artifact bucket."""
    aws.put_object(f"{database_certificates.PREFIX}{aws.user_id()}.pem", paths.TLS_CERTIFICATE.read_bytes())


def refresh(own: Path = paths.TLS_CERTIFICATE) -> bool:
    """Trusts the published certificates and this host's own. Returns whether these have changed. Raises what the AWS API raises."""
    found = {own.read_text()} if own.exists() else set[str]()
    found.update(database_certificates.fetch_published())
    return files.write(paths.TRUSTED_CERTIFICATES, "".join(sorted(found)), owner=paths.AGENT_USER, group=paths.AGENT_USER)
