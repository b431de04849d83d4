"""The certificates by which database hosts are known: each publishes its own in the artifact bucket, and readers trust what they find.

A host's own certificate is all that it may bring: one that may sign others, or several in one text, would let it speak for its neighbours.
"""

import sys
from functools import lru_cache

from webstack_host import aws
from webstack_host.run import run

PREFIX = "database/certificates/"
MAX_BYTES = 16384
"""Bytes of a text that is looked at; ours have less than one thousand."""


def fetch_published() -> list[str]:
    """All published certificates, in PEM and nothing besides. What is not one host's own is left out, and told on stderr. Raises what the
    API raises."""
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
    """The one certificate in a text, in PEM; None unless it says of itself that it is no authority's (RFC 5280, section 4.2.1.9)."""
    if len(text) > MAX_BYTES or text.count(b"-----BEGIN ") != 1:
        return None
    result = run(["openssl", "x509", "-ext", "basicConstraints"], input=text.decode(errors="replace"), check=False)
    extension, mark, body = result.stdout.partition("-----BEGIN CERTIFICATE-----\n")
    if result.returncode != 0 or not mark or "CA:FALSE" not in [line.strip() for line in extension.splitlines()]:
        return None
    return mark + body
