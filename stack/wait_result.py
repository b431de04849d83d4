"""How the wait for a host ended, and the words for those who waited."""

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Final

import pulumi

from stack.host_status import HostStatus

UNUSED_HOSTS_HINT: Final = (
    "Not in use yet, but running and costing: {}. Fix the cause, or go back to the old release, and run `up`: it makes new hosts in "
    "their place and then deletes these. Hosts that served before keep serving."
)


@dataclass(frozen=True, kw_only=True)
class WaitResult:
    """How the wait for one host ended."""

    host: str
    ready: bool
    message: str = ""
    """What to tell where it is not ready: the reason, and the last lines of the host's own check."""
    terminated: bool = False
    """Whether its instance was terminated: no wait brings it back."""
    unused_host: str = ""
    """Its name and instance where it was to replace another, or to be added, and has never served."""


class HostsNotReadyError(pulumi.RunError):
    """Hosts did not become ready; nothing that they were to replace has been deleted."""

    def __init__(self, failures: Sequence[WaitResult]) -> None:
        remedies = ["Nothing was deleted."]
        if not all(failure.terminated for failure in failures):
            remedies.append("The next `up` waits for the same hosts again.")
        if unused_hosts := [failure.unused_host for failure in failures if failure.unused_host]:
            remedies.append(UNUSED_HOSTS_HINT.format(", ".join(unused_hosts)))
        if any(failure.terminated for failure in failures):
            remedies.append("A plain `up` does not see that an instance is gone: `up --refresh` replaces it.")
        super().__init__("\n\n".join([*(failure.message for failure in failures), " ".join(remedies)]))


def failed_result(host: str, instance_id: str, status: HostStatus, *, replaceable: bool, summary: str) -> WaitResult:
    """The outcome for a host that is not ready."""
    message = "\n".join([f"{host} ({instance_id}) {summary}", *format_detail(instance_id, status)])
    gone = status.state == "gone"
    unused = replaceable and not gone and not status.served_before
    return WaitResult(host=host, ready=False, message=message, terminated=gone, unused_host=f"{host} ({instance_id})" if unused else "")


def format_detail(instance_id: str, status: HostStatus) -> list[str]:
    """What a host said besides its reason, and where the rest of it stands."""
    lines = [f"    {line}" for line in status.detail]
    if status.state == "gone":
        return lines
    unit = status.failing_unit
    journal, lab = (f"journalctl -b -u {quote(unit)}", f" --unit {quote(unit)}") if unit else ("journalctl -b", "")
    reached = f"`aws ssm start-session --target {instance_id}`"
    return [*lines, f"    full log: {reached}, then `{journal}`; in the lab `webstack lab logs {instance_id}{lab}`"]
