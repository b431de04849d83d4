"""TLS between load balancers and web hosts: each host derives the same key and certificate from a secret of the stack.

A load balancer must know a web host's certificate before the host's first health check, and nothing announces new hosts to it. Deriving
the certificate avoids distributing it. The private key is Ed25519 (RFC 8032), which accepts any 32 bytes and has deterministic signatures;
with a fixed serial number and fixed dates the certificate is identical wherever it is made. It is not a CA's (CA:FALSE).
"""

import base64
import hashlib
import tempfile
from pathlib import Path

from webstack_host import stack_secrets
from webstack_host.run import run

PURPOSE = "web-tls"
NAME = "web.webstack.internal"
"""The certificate's name, whatever the stack's own zone is called."""

_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
"""The DER prefix of the 32 bytes of an Ed25519 key (RFC 8410, section 7)."""

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
"""The complete configuration of the certificate, so that nothing depends on the defaults of OpenSSL's version."""
_DATES = ("-not_before", "20260101000000Z", "-not_after", "20560101000000Z")


def key_and_certificate() -> tuple[str, str]:
    """Returns the private key and certificate of this stack's web hosts, both in PEM. Raises what the AWS API raises, and CommandError."""
    key = private_key(stack_secrets.current(PURPOSE)[1])
    return key, certificate(key)


def private_key(secret: str) -> str:
    """Returns the key derived from a secret, in PEM."""
    seed = hashlib.sha256(f"webstack {PURPOSE} {secret}".encode()).digest()
    text = base64.b64encode(_PKCS8 + seed).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"


def certificate(key: str) -> str:
    """Returns the certificate of a key, in PEM. OpenSSL gets the key in a private file that is deleted afterwards."""
    with tempfile.TemporaryDirectory(dir="/run/webstack") as folder:
        private, request, made = (Path(folder, name) for name in ("key.pem", "request.cnf", "certificate.pem"))
        private.touch(mode=0o600)
        private.write_text(key)
        request.write_text(_REQUEST)
        run(["openssl", "req", "-x509", "-new", "-key", private, "-config", request, "-set_serial", "1", *_DATES, "-out", made])
        return made.read_text()
