"""The schema and the accounts that others use over the network: made by the primary once it takes writes, replicated like all data.

Each has the least rights that its work needs, demands TLS, and may come from this network alone. Passwords are those of Secrets Manager; an
account whose password is another one gets that of the secret, so that a changed secret works from the next boot on.
"""

import logging
import time
from dataclasses import dataclass

from webstack_host import aws

from . import paths, records
from .mysql import REFUSED, MySQLError, Server, code, quoted
from .settings import Settings

LOG = logging.getLogger("webstack.accounts")


@dataclass(frozen=True, kw_only=True)
class Account:
    """A MySQL account: its name, the purpose of its secret, and its grants (`ON` included)."""

    name: str
    purpose: str
    grants: tuple[str, ...]


def accounts(schema: str) -> tuple[Account, ...]:
    """All accounts that connect over the network."""
    tables = f"ON `{schema}`.*"
    return (
        Account(name="replication", purpose="database-replication", grants=("REPLICATION SLAVE ON *.*",)),
        Account(name="clone", purpose="database-clone", grants=("BACKUP_ADMIN ON *.*",)),
        Account(
            name="app_migrator",
            purpose="app-migrator",
            grants=(f"SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES {tables}",),
        ),
        Account(name="app_writer", purpose="app-writer", grants=(f"SELECT, INSERT, UPDATE, DELETE {tables}",)),
        Account(name="app_reader", purpose="app-reader", grants=(f"SELECT {tables}",)),
    )


def statements(account: Account, *, network: str, password: str) -> tuple[str, ...]:
    """What makes this account, or gives an existing one its password and rights."""
    who = f"{quoted(account.name)}@{quoted(network)}"
    return (
        f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY {quoted(password)} REQUIRE SSL",
        f"ALTER USER {who} IDENTIFIED BY {quoted(password)} REQUIRE SSL",
        *(f"GRANT {grant} TO {who}" for grant in account.grants),
    )


def ensure(settings: Settings, root: Server) -> None:
    """Makes what is missing on this primary. Raises MySQLError, or what the AWS API raises."""
    if not root.rows("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [settings.schema]):
        root.run(f"CREATE DATABASE `{settings.schema}`")
    for account in accounts(settings.schema):
        password = aws.secret(account.purpose)
        if not _works(account, settings.address, password):
            LOG.info("account %s: made, or given its secret's password", account.name)
            root.run(*statements(account, network=settings.network_cidr, password=password))


def _works(account: Account, address: str, password: str) -> bool:
    """Whether the account can connect as others will: over TLS, to this host's address."""
    server = Server(account.name, address=address, password=password)
    try:
        server.row("SELECT 1")
    except MySQLError as error:
        if code(error) in REFUSED:
            return False
        raise
    finally:
        server.close()
    return True


def main(settings: Settings) -> None:
    """Waits until this host takes writes, makes the accounts, and ends; ends at once on a host that another one leads."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    root = Server("root", patience=30.0)
    while True:
        try:
            claim = records.read_claim()
            if claim is not None and claim.primary != settings.host:
                return
            if not root.row("SELECT @@global.read_only AS read_only")["read_only"]:
                ensure(settings, root)
                paths.ACCOUNTS_DONE.touch()
                return
        except (MySQLError, OSError) as error:
            LOG.info("not yet: %s", error)
        time.sleep(0.3)
