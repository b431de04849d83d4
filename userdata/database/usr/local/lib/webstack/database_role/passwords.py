"""Keeps the passwords of the primary's accounts in line with their secrets' labels. During a rotation, MySQL accepts two passwords.

Dual passwords: https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords. MySQL keeps one password besides the
primary one. So the password to keep is first made the primary one: whatever was set before, it is accepted all the time.
"""

from collections.abc import Callable
from dataclasses import dataclass

from webstack_host import stack_secrets

from .mysql import MySQLClient, quote

HAS_SECONDARY = """SELECT COALESCE(JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password'), 0) AS two
 FROM mysql.user WHERE User = %s AND Host = %s"""

LoginCheck = Callable[[str, str], bool]
"""Whether an account can log in with a password, as its clients do."""


class PasswordMismatchError(RuntimeError):
    """A discarded password still works, or a new one does not; the message names the account."""


@dataclass(frozen=True, kw_only=True)
class DesiredPasswords:
    """Versions of an account's secret: the password to set, and the one to keep besides; empty for none."""

    primary: str
    secondary: str = ""

    @classmethod
    def from_labels(cls, labels: stack_secrets.StagingLabels) -> "DesiredPasswords":
        """Returns the passwords for the labels: the current and the pending one, or else the current and the previous one."""
        if labels.pending:
            return cls(primary=labels.pending, secondary=labels.current)
        return cls(primary=labels.current, secondary=labels.previous)

    @property
    def versions(self) -> list[str]:
        """Returns the versions that are set."""
        return [version for version in (self.primary, self.secondary) if version]


def dual_password_statements(account: str, *, first: str, second: str) -> tuple[str, ...]:
    """Returns the statements that give an account two passwords, whatever it had before."""
    return tuple(f"ALTER USER {account} IDENTIFIED BY {quote(password)} RETAIN CURRENT PASSWORD" for password in (second, first))


def single_password_statements(account: str, password: str) -> tuple[str, ...]:
    """Returns the statements that give an account only one password."""
    return f"ALTER USER {account} IDENTIFIED BY {quote(password)}", f"ALTER USER {account} DISCARD OLD PASSWORD"


class PasswordReconciler:
    """Reconciles the passwords of one account."""

    def __init__(self, root: MySQLClient, name: str, purpose: str, *, network: str, can_log_in: LoginCheck) -> None:
        self._root, self._name, self._purpose, self._network, self._can_log_in = root, name, purpose, network, can_log_in
        self._applied: DesiredPasswords | None = None

    def reconcile(self, values: stack_secrets.SecretCache) -> list[str]:
        """Makes the account accept the passwords of the labels and no others. Returns the versions that it accepts.

        Raises PasswordMismatchError if a login shows otherwise afterwards, MySQLError, and what the AWS API raises.
        """
        wanted = DesiredPasswords.from_labels(stack_secrets.labels(self._purpose))
        if wanted != self._applied:
            self._change(wanted, values)
            self._applied = wanted
        return wanted.versions

    def _change(self, wanted: DesiredPasswords, values: stack_secrets.SecretCache) -> None:
        who = f"{quote(self._name)}@{quote(self._network)}"
        passwords = [values.get(self._purpose, version) for version in wanted.versions]
        has_two = bool(self._root.row(HAS_SECONDARY, [self._name, self._network]).get("two"))
        if has_two != bool(wanted.secondary) or not all(self._can_log_in(self._name, password) for password in passwords):
            self._root.run(
                *(
                    dual_password_statements(who, first=passwords[0], second=passwords[1])
                    if wanted.secondary
                    else single_password_statements(who, passwords[0])
                )
            )
        for password in passwords:
            if not self._can_log_in(self._name, password):
                raise PasswordMismatchError(f"account {self._name}: MySQL refuses a password that it was given")
        for version in self._applied.versions if self._applied else ():
            if version not in wanted.versions and self._can_log_in(self._name, values.get(self._purpose, version)):
                raise PasswordMismatchError(f"account {self._name}: MySQL still accepts a password that was given up")
