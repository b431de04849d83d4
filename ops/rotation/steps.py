"""The steps of a rotation. Labels and the hosts' reports alone decide which is next, so an interrupted rotation continues where it stopped.

The steps are those of Secrets Manager's rotation (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html):
a new version is made as AWSPENDING, those who check accept it besides, it becomes AWSCURRENT, those who use it take it over.
"""

import secrets
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ops.rotation.fleet import Fleet, FleetHost, StagingLabels
from stack.roles import database, web
from stack.secret_specs import SECRET_SPECS, SESSION_KEY

ALPHABET: Final = string.ascii_letters + string.digits
"""As the program's own: such a text needs no quoting in any file."""

ProgressCallback = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class PendingHost:
    """A host that has not finished a step yet."""

    host: str
    reason: str

    def __str__(self) -> str:
        return f"{self.host}: {self.reason}"


class Rotation:
    """The rotation of one secret. `begun`: whether its new value is there, by this run or an earlier one."""

    def __init__(self, fleet: Fleet, purpose: str, *, revoke: bool, on_progress: ProgressCallback) -> None:
        self.purpose, self.done = purpose, False
        self._fleet, self._revoke, self._on_progress = fleet, revoke, on_progress
        self._started = False

    def step(self, hosts: Sequence[FleetHost]) -> list[PendingHost]:
        """Does the next step if possible. Returns the hosts to wait for first; none where it did something or is done."""
        labels = self._fleet.staging_labels(self.purpose)
        step = self._session_key if self.purpose == SESSION_KEY else self._account
        return step(labels, hosts)

    def _account(self, labels: StagingLabels, hosts: Sequence[FleetHost]) -> list[PendingHost]:
        primary = [host for host in hosts if host.facts.get("role") == "primary"]
        if not primary:
            unread = [
                PendingHost(host=host.name, reason=host.record_error) for host in hosts if host.role == database.NAME and host.record_error
            ]
            return [PendingHost(host="databases", reason="no host reports that it is the primary"), *unread]
        if not self._started:
            if not (labels.pending or labels.previous):
                return self._put_pending()
            self._resume()
        if labels.pending:
            return self._not_accepting(primary, labels.pending, "has not given the account the new password yet") or self._promote(labels)
        if labels.previous:
            awaited = self._not_using([*primary, *self._account_users(hosts)], labels.current)
            return awaited or self._retire_previous(labels)
        return self._accepting_old(primary, labels.current) or self._finish("the old password is refused")

    def _session_key(self, labels: StagingLabels, hosts: Sequence[FleetHost]) -> list[PendingHost]:
        web_hosts = [host for host in hosts if host.role == web.NAME]
        if not self._started:
            behind = any(host.secret_versions.get(self.purpose, [labels.current])[0] != labels.current for host in web_hosts)
            if not (labels.pending or behind):
                return self._put_pending()
            self._resume()
        if labels.pending:
            return self._not_accepting(web_hosts, labels.pending, "does not accept the new key yet") or self._promote(labels)
        if awaited := self._not_using(web_hosts, labels.current):
            return awaited
        if not self._revoke:
            return self._finish("sessions signed with the previous key are still accepted")
        if labels.previous:
            return self._retire_previous(labels)
        return self._accepting_old(web_hosts, labels.current) or self._finish("sessions signed with earlier keys are refused")

    def _put_pending(self) -> list[PendingHost]:
        self._fleet.put_pending(self.purpose, "".join(secrets.choice(ALPHABET) for _ in range(SECRET_SPECS[self.purpose].length)))
        self._started = True
        self._on_progress(f"{self.purpose}: a new value is stored as AWSPENDING")
        return []

    def _resume(self) -> None:
        self._started = True
        self._on_progress(f"{self.purpose}: continuing an earlier rotation")

    def _promote(self, labels: StagingLabels) -> list[PendingHost]:
        self._fleet.promote(self.purpose, labels)
        self._on_progress(f"{self.purpose}: every host accepts the new value; it is AWSCURRENT now")
        return []

    def _retire_previous(self, labels: StagingLabels) -> list[PendingHost]:
        self._fleet.retire_previous(self.purpose, labels)
        self._on_progress(f"{self.purpose}: every host uses the new value; the old one is withdrawn")
        return []

    def _finish(self, summary: str) -> list[PendingHost]:
        self.done = True
        self._on_progress(f"{self.purpose}: done, {summary}")
        return []

    def _account_users(self, hosts: Sequence[FleetHost]) -> list[FleetHost]:
        """Hosts that log in by it while they run."""
        if self.purpose == "database-replication":
            return [host for host in hosts if host.role == database.NAME and host.facts.get("role") != "primary"]
        return [host for host in hosts if host.role == web.NAME and self.purpose in web.SPEC.secrets]

    def _not_accepting(self, hosts: Sequence[FleetHost], version: str, reason: str) -> list[PendingHost]:
        return [self._pending_host(host, reason) for host in hosts if version not in host.secret_versions.get(self.purpose, [])]

    def _not_using(self, hosts: Sequence[FleetHost], version: str) -> list[PendingHost]:
        return [self._pending_host(host, "does not use the new one yet") for host in hosts if [version] != self._version_in_use(host)]

    def _accepting_old(self, hosts: Sequence[FleetHost], version: str) -> list[PendingHost]:
        return [
            self._pending_host(host, "still accepts the old one") for host in hosts if [version] != host.secret_versions.get(self.purpose)
        ]

    def _version_in_use(self, host: FleetHost) -> list[str]:
        return host.secret_versions.get(self.purpose, [])[:1]

    def _pending_host(self, host: FleetHost, reason: str) -> PendingHost:
        return PendingHost(host=host.name, reason=f"{self.purpose}: {reason}" + ("" if host.ready else f" ({host.wait_reason})"))
