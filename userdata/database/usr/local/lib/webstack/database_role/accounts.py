"""The schema and the accounts that others use over the network: made by the primary once it takes writes, replicated like all data.

Each has the least rights that its work needs, demands TLS, and may come from this network alone. Passwords are those of Secrets Manager, as
`passwords` keeps them; a replica follows by its source's (`receiving`).
"""

import json
import logging
import time
from dataclasses import dataclass
from functools import partial

from webstack_host import secrets

from . import paths, receiving, records
from .mysql import REFUSED, MySQLError, Server, code, quoted
from .passwords import Keeper
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
    """What makes this account."""
    who = f"{quoted(account.name)}@{quoted(network)}"
    return (
        f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY {quoted(password)} REQUIRE SSL",
        *(f"GRANT {grant} TO {who}" for grant in account.grants),
    )


def works(address: str, name: str, password: str) -> bool:
    """Whether the account can connect as others will: over TLS, to this host's address."""
    server = Server(name, address=address, password=password)
    try:
        server.row("SELECT 1")
    except MySQLError as error:
        if code(error) in REFUSED:
            return False
        raise
    finally:
        server.close()
    return True


class Accounts:
    """What one database host does about accounts: on the primary it makes and keeps them, on a replica it follows."""

    def __init__(self, settings: Settings, root: Server) -> None:
        self._settings, self._root = settings, root
        self._values = secrets.Values()
        log_in = partial(works, settings.address)
        self._keepers = {
            account.purpose: Keeper(root, account.name, account.purpose, network=settings.network_cidr, works=log_in)
            for account in accounts(settings.schema)
        }

    def look(self) -> bool:
        """Does what is to be done now, and notes which versions hold; whether this host was in a state for it.

        Raises MySQLError, StillAcceptedError, or what the AWS API raises.
        """
        claim = records.read_claim()
        if claim is not None and claim.primary != self._settings.host:
            version = receiving.renew(self._root)
            return bool(version) and _note({receiving.PURPOSE: [version]})
        if self._root.row("SELECT @@global.read_only AS read_only")["read_only"]:
            return False
        self._make()
        _note({purpose: keeper.settle(self._values) for purpose, keeper in self._keepers.items()})
        paths.ACCOUNTS_DONE.touch()
        return True

    def _make(self) -> None:
        settings = self._settings
        if not self._root.rows("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [settings.schema]):
            self._root.run(f"CREATE DATABASE `{settings.schema}`")
        for account in accounts(settings.schema):
            if not self._root.rows("SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s", [account.name, settings.network_cidr]):
                LOG.info("account %s: made", account.name)
                password = secrets.current(account.purpose)[1]
                self._root.run(*statements(account, network=settings.network_cidr, password=password))


def told() -> dict[str, list[str]]:
    """The versions of secrets that this host uses and accepts; none before it looked."""
    try:
        return json.loads(paths.SECRETS.read_text())
    except (OSError, ValueError):
        return {}


def _note(versions: dict[str, list[str]]) -> bool:
    draft = paths.SECRETS.with_suffix(".new")
    draft.write_text(json.dumps(versions))
    draft.replace(paths.SECRETS)
    return True


def main(settings: Settings) -> None:
    """Looks until this host has its part done, and then as often as secrets may change. Runs for ever."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    kept, notice = Accounts(settings, Server("root", patience=30.0)), secrets.Notice()
    first = True
    while True:
        try:
            if (first or notice.given() or notice.due(time.monotonic())) and kept.look():
                notice.done(time.monotonic())
                first = False
        except Exception as error:  # of MySQL, of the API: tried again
            LOG.info("not yet: %s", error)
        time.sleep(0.3 if first else secrets.LISTEN)
