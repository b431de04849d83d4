"""The schema and the accounts that are used over the network: made by the primary once it takes writes, and replicated like all data.

Each account has the least privileges that it needs, requires TLS, and may only connect from this network. The passwords are in Secrets
Manager, and `passwords` keeps MySQL's in line; a replica's receiver follows them in `receiver_password`.
"""

import json
import logging
import time
from dataclasses import dataclass
from functools import partial

from webstack_host import stack_secrets

from . import paths, receiver_password, records
from .mysql import ACCESS_DENIED, MySQLClient, MySQLError, error_code, quote
from .passwords import PasswordReconciler
from .variables import DatabaseVariables

LOG = logging.getLogger("webstack.accounts")


@dataclass(frozen=True, kw_only=True)
class Account:
    """A MySQL account: its name, the purpose of its secret, and its grants (`ON` included)."""

    name: str
    purpose: str
    grants: tuple[str, ...]


def accounts(schema: str) -> tuple[Account, ...]:
    """Returns all accounts that connect over the network."""
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
    """Returns the statements that create the account."""
    who = f"{quote(account.name)}@{quote(network)}"
    return (
        f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY {quote(password)} REQUIRE SSL",
        *(f"GRANT {grant} TO {who}" for grant in account.grants),
    )


def can_log_in(address: str, name: str, password: str) -> bool:
    """Whether the account can connect as its clients do: over TLS, to this host's address."""
    server = MySQLClient(name, address=address, password=password)
    try:
        server.row("SELECT 1")
    except MySQLError as error:
        if error_code(error) in ACCESS_DENIED:
            return False
        raise
    finally:
        server.close()
    return True


class AccountReconciler:
    """Reconciles accounts on one database host: on the primary it creates and updates them, on a replica it follows their passwords."""

    def __init__(self, variables: DatabaseVariables, root: MySQLClient) -> None:
        self._variables, self._root = variables, root
        self._values = stack_secrets.SecretCache()
        log_in = partial(can_log_in, variables.private_address)
        self._password_reconcilers = {
            account.purpose: PasswordReconciler(root, account.name, account.purpose, network=variables.network_cidr, can_log_in=log_in)
            for account in accounts(variables.schema)
        }

    def reconcile(self) -> bool:
        """Makes the necessary changes and records the versions in use. Returns False if this host is not in a state for it.

        Raises MySQLError, PasswordMismatchError, and what the AWS API raises.
        """
        claim = records.read_primary()
        if claim is not None and claim.primary != self._variables.host:
            version = receiver_password.refresh(self._root)
            return bool(version) and _save_versions({receiver_password.PURPOSE: [version]})
        if self._root.row("SELECT @@global.read_only AS read_only")["read_only"]:
            return False
        self._create_missing()
        _save_versions({purpose: keeper.reconcile(self._values) for purpose, keeper in self._password_reconcilers.items()})
        paths.ACCOUNTS_DONE.touch()
        return True

    def _create_missing(self) -> None:
        variables = self._variables
        if not self._root.rows("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [variables.schema]):
            self._root.run(f"CREATE DATABASE `{variables.schema}`")
        for account in accounts(variables.schema):
            if not self._root.rows("SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s", [account.name, variables.network_cidr]):
                LOG.info("account %s: made", account.name)
                password = stack_secrets.current(account.purpose)[1]
                self._root.run(*statements(account, network=variables.network_cidr, password=password))


def secret_versions() -> dict[str, list[str]]:
    """Returns the versions of secrets that this host uses and accepts; empty before the first run."""
    try:
        return json.loads(paths.SECRET_VERSIONS.read_text())
    except (OSError, ValueError):
        return {}


def _save_versions(versions: dict[str, list[str]]) -> bool:
    draft = paths.SECRET_VERSIONS.with_suffix(".new")
    draft.write_text(json.dumps(versions))
    draft.replace(paths.SECRET_VERSIONS)
    return True


def main(variables: DatabaseVariables) -> None:
    """Reconciles until it succeeds, and then whenever secrets may have changed. Runs forever."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    reconciler, notice = AccountReconciler(variables, MySQLClient("root", timeout=30.0)), stack_secrets.ChangeNotice()
    first = True
    while True:
        try:
            if (first or notice.is_new() or notice.due(time.monotonic())) and reconciler.reconcile():
                notice.mark_done(time.monotonic())
                first = False
        except Exception as error:  # from MySQL or the API: tried again
            LOG.info("not yet: %s", error)
        time.sleep(0.3 if first else stack_secrets.NOTICE_INTERVAL)
