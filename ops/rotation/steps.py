"""What a rotation does next, told by labels and by the hosts' own words alone: so one that was interrupted goes on where it stopped.

The steps are those of Secrets Manager's rotation (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html):
a new version is made as AWSPENDING, those who check accept it besides, it becomes AWSCURRENT, those who use it take it over.
"""

import secrets
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ops.rotation.fleet import Fleet, Labels, Word
from stack.purposes import PURPOSES, SESSION_KEY
from stack.roles import database, web

ALPHABET: Final = string.ascii_letters + string.digits
"""As the program's own: such a text needs no quoting in any file."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """A host that has not done its part of a step."""

    host: str
    what: str

    def __str__(self) -> str:
        return f"{self.host}: {self.what}"


class Rotation:
    """The rotation of one secret. `begun`: whether its new value is there, by this run or an earlier one."""

    def __init__(self, fleet: Fleet, purpose: str, *, revoke: bool, say: Say) -> None:
        self.purpose, self.done = purpose, False
        self._fleet, self._revoke, self._say = fleet, revoke, say
        self._begun = False

    def step(self, hosts: Sequence[Word]) -> list[Awaited]:
        """Does what can be done now; the hosts that are awaited before the next step. Nobody is where it did something, or is done."""
        found = self._fleet.labels(self.purpose)
        step = self._session_key if self.purpose == SESSION_KEY else self._account
        return step(found, hosts)

    def _account(self, found: Labels, hosts: Sequence[Word]) -> list[Awaited]:
        primary = [host for host in hosts if host.facts.get("role") == "primary"]
        if not primary:
            unread = [Awaited(host=host.name, what=host.unreadable) for host in hosts if host.role == database.NAME and host.unreadable]
            return [Awaited(host="databases", what="none says that it is the primary"), *unread]
        if not self._begun:
            if not (found.pending or found.previous):
                return self._propose()
            self._go_on()
        if found.pending:
            return self._lacking(primary, found.pending, "has not given the account the new password yet") or self._promote(found)
        if found.previous:
            awaited = self._not_using([*primary, *self._holders(hosts)], found.current)
            return awaited or self._drop(found)
        return self._accepting_more(primary, found.current) or self._end("the old password is refused")

    def _session_key(self, found: Labels, hosts: Sequence[Word]) -> list[Awaited]:
        web_hosts = [host for host in hosts if host.role == web.NAME]
        if not self._begun:
            behind = any(host.versions.get(self.purpose, [found.current])[0] != found.current for host in web_hosts)
            if not (found.pending or behind):
                return self._propose()
            self._go_on()
        if found.pending:
            return self._lacking(web_hosts, found.pending, "does not accept the new key yet") or self._promote(found)
        if awaited := self._not_using(web_hosts, found.current):
            return awaited
        if not self._revoke:
            return self._end("what the one before signed is still accepted")
        if found.previous:
            return self._drop(found)
        return self._accepting_more(web_hosts, found.current) or self._end("what the one before signed is refused")

    def _propose(self) -> list[Awaited]:
        self._fleet.propose(self.purpose, "".join(secrets.choice(ALPHABET) for _ in range(PURPOSES[self.purpose].length)))
        self._begun = True
        self._say(f"{self.purpose}: a new value is there, AWSPENDING")
        return []

    def _go_on(self) -> None:
        self._begun = True
        self._say(f"{self.purpose}: going on with a rotation that was begun before")

    def _promote(self, found: Labels) -> list[Awaited]:
        self._fleet.promote(self.purpose, found)
        self._say(f"{self.purpose}: accepted everywhere; it is AWSCURRENT now")
        return []

    def _drop(self, found: Labels) -> list[Awaited]:
        self._fleet.drop(self.purpose, found)
        self._say(f"{self.purpose}: used everywhere; the old one is given up")
        return []

    def _end(self, how: str) -> list[Awaited]:
        self.done = True
        self._say(f"{self.purpose}: done, {how}")
        return []

    def _holders(self, hosts: Sequence[Word]) -> list[Word]:
        """Hosts that log in by it while they run."""
        if self.purpose == "database-replication":
            return [host for host in hosts if host.role == database.NAME and host.facts.get("role") != "primary"]
        return [host for host in hosts if host.role == web.NAME and self.purpose in web.SPEC.secrets]

    def _lacking(self, hosts: Sequence[Word], version: str, what: str) -> list[Awaited]:
        return [self._awaited(host, what) for host in hosts if version not in host.versions.get(self.purpose, [])]

    def _not_using(self, hosts: Sequence[Word], version: str) -> list[Awaited]:
        return [self._awaited(host, "does not use the new one yet") for host in hosts if [version] != self._used(host)]

    def _accepting_more(self, hosts: Sequence[Word], version: str) -> list[Awaited]:
        return [self._awaited(host, "still accepts the old one") for host in hosts if [version] != host.versions.get(self.purpose)]

    def _used(self, host: Word) -> list[str]:
        return host.versions.get(self.purpose, [])[:1]

    def _awaited(self, host: Word, what: str) -> Awaited:
        return Awaited(host=host.name, what=f"{self.purpose}: {what}" + ("" if host.serves else f" ({host.why_silent})"))
