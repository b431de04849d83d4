"""Bring the database to this release's schema: `python migrate.py`.

Every web host runs this at every boot, so it must be harmless when there is nothing to do and when another host is doing it already.
It reads MIGRATE_DATABASE_URL (an account that may change the schema), DATABASE_CA and MIGRATE_TIMEOUT (seconds, default 120)
and ends with status 0, or with 1 and one sentence on standard error.
"""

import os
import sys

from shop.migrator import MigrationError, migrate
from shop.settings import SettingsError, positive_int_env, required_env


def main() -> int:
    """Migrate by the environment's settings; the process's exit status."""
    try:
        url, timeout = required_env("MIGRATE_DATABASE_URL"), positive_int_env("MIGRATE_TIMEOUT", 120)
        print(migrate(url, os.environ.get("DATABASE_CA") or None, timeout=timeout))
    except (MigrationError, SettingsError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
