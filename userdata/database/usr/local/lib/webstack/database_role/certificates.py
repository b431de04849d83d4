"""TLS between hosts without an authority that anybody else holds.

Each database host makes a key on its data volume and certifies itself: names are its DNS name, its address and 127.0.0.1 (the app
reaches it through a proxy on its own host). The certificate goes to a bucket key that only this instance can write; whoever connects
trusts exactly the certificates it finds under that prefix. Verification checks the name as well, so one host's key cannot stand for the
other.
"""

import secrets
from pathlib import Path

from webstack_host import aws, files
from webstack_host.run import run

from . import paths
from .settings import Settings

PREFIX = "database/certificates/"
DAYS = 3650


def ensure_pair(settings: Settings) -> None:
    """Makes key and certificate where they are missing or name another host than this."""
    names = f"DNS:{settings.dns_name},IP:{settings.address},IP:127.0.0.1"
    record = paths.TLS / "names"
    if paths.TLS_KEY.exists() and paths.TLS_CERTIFICATE.exists() and record.exists() and record.read_text() == names:
        return
    # Python 3.13 refuses an authority whose key usage is missing or not critical; a self-signed certificate is its own authority.
    # The subject is unique to this key: two authorities of one name would make the choice between them a guess.
    run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(DAYS)),
            *("-subj", f"/CN={settings.host} {secrets.token_hex(8)}", "-addext", f"subjectAltName={names}"),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"),
            *("-keyout", paths.TLS_KEY, "-out", paths.TLS_CERTIFICATE),
        ]
    )
    files.write(paths.TLS_KEY, paths.TLS_KEY.read_text(), group="mysql", mode=0o640)
    files.write(paths.TLS_CERTIFICATE, paths.TLS_CERTIFICATE.read_text(), group="mysql")
    files.write(record, names)


def publish() -> None:
    """Puts this host's certificate where the others look for it."""
    aws.put_object(f"{PREFIX}{aws.identity()}.pem", paths.TLS_CERTIFICATE.read_bytes())


def refresh(own: Path = paths.TLS_CERTIFICATE) -> bool:
    """Trusts what is published now, and always this host's own; returns whether that changed. Raises what the AWS API raises."""
    found = {own.read_text().strip()} if own.exists() else set[str]()
    found |= {aws.fetch_object(key).decode().strip() for key in aws.list_objects(PREFIX) if key.endswith(".pem")}
    content = "\n".join(sorted(found)) + "\n"
    return files.write(paths.TRUSTED, content, owner=paths.AGENT_USER, group=paths.AGENT_USER)
