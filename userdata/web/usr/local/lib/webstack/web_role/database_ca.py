"""The file of the database hosts' certificates that the app trusts."""

import sys

from webstack_host import database_certificates, files

CA_FILE = "/run/webstack/database-ca.pem"


def main() -> int:
    """Refreshes the file once. Returns 1 if no database host has published a certificate yet."""
    if not refresh():
        print(f"no database host has published its certificate under {database_certificates.PREFIX} yet", file=sys.stderr)
        return 1
    return 0


def refresh() -> int:
    """Writes all published certificates into one file and returns their number. Keeps the old file if there are none."""
    certificates = database_certificates.fetch_published()
    if certificates:
        files.write(CA_FILE, "".join(certificates))
    return len(certificates)
