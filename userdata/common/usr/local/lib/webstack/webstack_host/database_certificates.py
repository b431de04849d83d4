"""The database hosts' certificates: each host publishes its own in the artifact bucket, and clients trust those published.

A host may publish only one certificate of its own: a CA certificate, or several in one file, would let it impersonate other hosts.
"""

import sys
from functools import lru_cache

from webstack_host import aws
from webstack_host.run import run

PREFIX = "database/certificates/"
MAX_BYTES = 16384
"""The largest file that is read, in bytes; ours have less than one thousand."""


def fetch_published() -> list[str]:
    """Returns all published certificates, in PEM without other text. Skips files that are not a single host's certificate, and reports
    them on stderr. Raises what the API raises."""
    found: list[str] = []
    for key in aws.list_objects(PREFIX):
        if key.endswith(".pem"):
            certificate = parse_leaf(aws.fetch_object(key, max_bytes=MAX_BYTES))
            if certificate is None:
                print(f"{key} is not one host's certificate and is not trusted", file=sys.stderr, flush=True)
            else:
                found.append(certificate)
    return found


@lru_cache(maxsize=64)
def parse_leaf(text: bytes) -> str | None:
    """Returns the single certificate in a text, in PEM; None unless it declares that it is not a CA's (RFC 5280, section 4.2.1.9)."""
    if len(text) > MAX_BYTES or text.count(b"-----BEGIN ") != 1:
        return None
    result = run(["openssl", "x509", "-ext", "basicConstraints"], input=text.decode(errors="replace"), check=False)
    extension, mark, body = result.stdout.partition("-----BEGIN CERTIFICATE-----\n")
    if result.returncode != 0 or not mark or "CA:FALSE" not in [line.strip() for line in extension.splitlines()]:
        return None
    return mark + body
