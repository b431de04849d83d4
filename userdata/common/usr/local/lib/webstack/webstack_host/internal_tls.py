"""TLS between load balancers and web hosts: one key and certificate that both make from a secret of the stack, each for itself.

A load balancer must know a web host's certificate before the host's first health check, and nobody tells it of a new host: so there is
nothing to hand round. The private key is Ed25519 (RFC 8032), which takes any 32 bytes and signs the same text the same way every time; with
a fixed number and fixed dates the certificate comes out the same to the byte wherever it is made. It is no authority's (CA:FALSE).
"""

import base64
import hashlib
import tempfile
from pathlib import Path

from webstack_host import stack_secrets
from webstack_host.run import run

PURPOSE = "web-tls"
NAME = "web.webstack.internal"
"""What the certificate is for, whatever the stack's own zone is called."""

_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
"""What stands before the 32 bytes of an Ed25519 key (RFC 8410, section 7)."""

_REQUEST = f"""\
[req]
prompt = no
string_mask = utf8only
distinguished_name = name
x509_extensions = extensions
[name]
CN = {NAME}
[extensions]
subjectKeyIdentifier = none
authorityKeyIdentifier = none
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:{NAME}
"""
"""All that goes into the certificate: nothing is left to what OpenSSL's version adds by itself."""
_DATES = ("-not_before", "20260101000000Z", "-not_after", "20560101000000Z")


def key_and_certificate() -> tuple[str, str]:
    """Private key and certificate of this stack's web hosts, both in PEM. Raises what the AWS API raises, CommandError."""
    key = private_key(stack_secrets.current(PURPOSE)[1])
    return key, certificate(key)


def private_key(secret: str) -> str:
    """The key, in PEM, that a secret stands for."""
    seed = hashlib.sha256(f"webstack {PURPOSE} {secret}".encode()).digest()
    text = base64.b64encode(_PKCS8 + seed).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"


def certificate(key: str) -> str:
    """The certificate, in PEM, of a key that only this process has: the file for OpenSSL is its own, and gone afterwards."""
    with tempfile.TemporaryDirectory(dir="/run/webstack") as folder:
        private, request, made = (Path(folder, name) for name in ("key.pem", "request.cnf", "certificate.pem"))
        private.touch(mode=0o600)
        private.write_text(key)
        request.write_text(_REQUEST)
        run(["openssl", "req", "-x509", "-new", "-key", private, "-config", request, "-set_serial", "1", *_DATES, "-out", made])
        return made.read_text()
