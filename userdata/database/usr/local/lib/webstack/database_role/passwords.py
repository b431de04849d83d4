"""The passwords of the accounts on the primary as the labels of their secrets are: while a password is changed, MySQL takes both.

Dual passwords: https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords. MySQL keeps one password besides the
primary one, so what is to be kept is made the primary one first: whatever was there before, it is accepted all the while.
"""

from collections.abc import Callable
from dataclasses import dataclass

from webstack_host import secrets

from .mysql import Server, quoted

HAS_TWO = """SELECT COALESCE(JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password'), 0) AS two
 FROM mysql.user WHERE User = %s AND Host = %s"""

Works = Callable[[str, str], bool]
"""Whether an account can log in as others do, by a password."""


class StillAcceptedError(RuntimeError):
    """A password that was given up works, or one that was given does not: the text says whose."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Versions of an account's secret: the password that it is to have, and the one that it is to keep besides; empty for none."""

    first: str
    second: str = ""

    @classmethod
    def of(cls, labels: secrets.Labels) -> "Wanted":
        """What labels mean: the one to come beside the current one, else the current one beside the one before."""
        if labels.pending:
            return cls(first=labels.pending, second=labels.current)
        return cls(first=labels.current, second=labels.previous)

    @property
    def versions(self) -> list[str]:
        """Both, without what is none."""
        return [version for version in (self.first, self.second) if version]


def both(who: str, *, first: str, second: str) -> tuple[str, ...]:
    """What gives an account two passwords, from whatever it has."""
    return tuple(f"ALTER USER {who} IDENTIFIED BY {quoted(password)} RETAIN CURRENT PASSWORD" for password in (second, first))


def only(who: str, password: str) -> tuple[str, ...]:
    """What gives an account one password alone."""
    return f"ALTER USER {who} IDENTIFIED BY {quoted(password)}", f"ALTER USER {who} DISCARD OLD PASSWORD"


class Keeper:
    """Keeps the password of one account."""

    def __init__(self, root: Server, name: str, purpose: str, *, network: str, works: Works) -> None:
        self._root, self._name, self._purpose, self._network, self._works = root, name, purpose, network, works
        self._settled: Wanted | None = None

    def settle(self, values: secrets.Values) -> list[str]:
        """Makes the account accept what the labels say, and nothing else; the versions that it accepts.

        Raises StillAcceptedError where MySQL says otherwise afterwards, MySQLError, and what the AWS API raises.
        """
        wanted = Wanted.of(secrets.labels(self._purpose))
        if wanted != self._settled:
            self._change(wanted, values)
            self._settled = wanted
        return wanted.versions

    def _change(self, wanted: Wanted, values: secrets.Values) -> None:
        who = f"{quoted(self._name)}@{quoted(self._network)}"
        passwords = [values.of(self._purpose, version) for version in wanted.versions]
        has_two = bool(self._root.row(HAS_TWO, [self._name, self._network]).get("two"))
        if has_two != bool(wanted.second) or not all(self._works(self._name, password) for password in passwords):
            self._root.run(*(both(who, first=passwords[0], second=passwords[1]) if wanted.second else only(who, passwords[0])))
        for password in passwords:
            if not self._works(self._name, password):
                raise StillAcceptedError(f"account {self._name}: MySQL refuses a password that it was given")
        for version in self._settled.versions if self._settled else ():
            if version not in wanted.versions and self._works(self._name, values.of(self._purpose, version)):
                raise StillAcceptedError(f"account {self._name}: MySQL still accepts a password that was given up")
