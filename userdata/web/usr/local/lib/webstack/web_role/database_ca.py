"""The certificates by which database hosts are known: each publishes its own in the artifact bucket, readers trust all of them."""

import sys

from webstack_host import aws, files

PREFIX = "database/certificates/"
TRUSTED = "/run/webstack/database-ca.pem"
MARK = "-----BEGIN CERTIFICATE-----"


def main() -> int:
    """Refreshes the file once; 1 where no database host has published anything yet."""
    if not refresh():
        print(f"no database host has published its certificate under {PREFIX} yet", file=sys.stderr)
        return 1
    return 0


def refresh() -> int:
    """Writes all published certificates into one file and returns their number; keeps the old file where there are none."""
    texts = [aws.fetch_object(key).decode() for key in aws.list_objects(PREFIX) if key.endswith(".pem")]
    certificates = [text.strip() + "\n" for text in texts if MARK in text]
    if certificates:
        files.write(TRUSTED, "".join(certificates))
    return len(certificates)
