"""The active faults: injected, listed, cleared, and restored after the daemon was killed."""

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.hypervisor.desired import DesiredMachine
from lab.hypervisor.faults.catalog import parse, serialize
from lab.hypervisor.faults.fault import Fault, FaultError, FaultInjector, LabSnapshot
from lab.names import LabNames

log = logging.getLogger(__name__)

MAX_SECONDS = 7 * 24 * 3600
"""The longest duration of a fault in seconds. One without a duration lasts until it is cleared."""


@dataclass(frozen=True, kw_only=True)
class ActiveFault:
    """A fault that has been injected and has not ended."""

    fault_id: str
    fault: Fault
    expires_at: float | None = None
    """When it ends, in seconds since the epoch; None: when it is cleared."""

    def as_dict(self) -> dict[str, Any]:
        """Returns it for JSON, also for the registry's own file."""
        return {"id": self.fault_id, "expires_at": self.expires_at, "fault": serialize(self.fault)}


class FaultRegistry:
    """The faults of one lab. Blocking, and safe to call from any thread.

    The effects are computed from all active faults together, anew at each change, so faults may overlap and be cleared in any order.
    """

    def __init__(self, names: LabNames, injectors: Sequence[FaultInjector]) -> None:
        self.problem: str | None = None
        """Why the active faults could not be applied at the last change of machines, for people."""
        self._injectors = list(injectors)
        self._snapshot = LabSnapshot(names=names)
        self._synced = False
        """Whether the machines are known. Until then an earlier daemon's effects stay, and nothing is computed for an empty lab."""
        self._lock = threading.Lock()
        self._active: list[ActiveFault] = []
        self._next_id = 1
        self._load()

    @property
    def active(self) -> list[ActiveFault]:
        """The active faults, oldest first."""
        return list(self._active)

    def is_active(self, fault_id: str) -> bool:
        """Whether this fault is active."""
        return any(one.fault_id == fault_id for one in self._active)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Returns the active faults for JSON, each with its summary and why it may have no effect."""
        return [
            one.as_dict() | {"summary": one.fault.summary(), "inactive_reasons": one.fault.inactive_reasons(self._snapshot)}
            for one in self.active
        ]

    def on_path(self, source: str, target: str) -> list[str]:
        """Returns the summaries of the faults between two ends (instance ids, `internet`, `aws`)."""
        return [
            f"fault {one.fault_id}: {one.fault.summary()}" for one in self.active if one.fault.affects_path(self._snapshot, source, target)
        ]

    def inject(self, description: object, seconds: float | None = None) -> ActiveFault:
        """Injects a fault for `seconds`, or until it is cleared. Raises FaultError, and then nothing is injected."""
        if seconds is not None and not 0 < seconds <= MAX_SECONDS:
            raise FaultError(f"for {seconds:g} seconds: give a duration of more than 0 and up to a week ({MAX_SECONDS}), or none")
        fault = parse(description)
        with self._lock:
            self._require_machines(fault.summary())
            fault.check(self._snapshot)
            given = ActiveFault(fault_id=f"f{self._next_id}", fault=fault, expires_at=None if seconds is None else time.time() + seconds)
            before = self._active
            try:
                self._apply([*before, given])
                self._save([*before, given], self._next_id + 1)
            except Exception as error:
                self._roll_back(before)
                raise (
                    error if isinstance(error, FaultError) else FaultError(f"{fault.summary()}: it could not be injected: {error}")
                ) from error
            self._active, self._next_id = [*before, given], self._next_id + 1
        log.info("%s: %s", given.fault_id, fault.summary())
        return given

    def clear(self, *fault_ids: str) -> list[ActiveFault]:
        """Clears these faults, or all if none is named, and returns them. If one is not active, clears none and raises FaultError."""
        with self._lock:
            self._require_machines("clear faults")  # otherwise it would be listed as ended while it is still in effect
            known = {one.fault_id for one in self._active}
            for fault_id in fault_ids:
                if fault_id not in known:
                    raise FaultError(f"fault {fault_id!r}: no such fault is active; active are {', '.join(sorted(known)) or 'none'}")
            ended = [one for one in self._active if not fault_ids or one.fault_id in fault_ids]
            kept = [one for one in self._active if one not in ended]
            self._apply(kept)
            self._active = kept
            self._save(kept, self._next_id)
        for one in ended:
            log.info("%s: ended: %s", one.fault_id, one.fault.summary())
        return ended

    def sync(self, machines: Mapping[str, DesiredMachine]) -> None:
        """Applies the active faults to the current machines. Never raises: see `problem`."""
        with self._lock:
            self._snapshot, self._synced = LabSnapshot(names=self._snapshot.names, machines=machines), True
            self._reapply()

    def before_boot(self, instance_id: str) -> None:
        """Applies the active faults to a machine whose first process is about to start. Never raises: see `problem`."""
        with self._lock:
            for injector in self._injectors:
                injector.before_boot(instance_id)
            self._reapply()

    def _require_machines(self, action: str) -> None:
        if not self._synced:
            raise FaultError(f"{action}: the lab's daemon has not yet read the lab's hosts from the AWS API; try again")

    def _reapply(self) -> None:
        try:
            self._apply(self._active)
            self.problem = None
        except Exception as error:
            self.problem = f"not all active faults are in effect: {error}"
            log.exception("the active faults could not be applied")

    def _apply(self, active: Sequence[ActiveFault]) -> None:
        """Runs every injector, even if others fail; then raises the first error."""
        errors: list[Exception] = []
        for injector in self._injectors if self._synced else ():
            try:
                injector.apply([one.fault for one in active], self._snapshot)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _roll_back(self, previous: Sequence[ActiveFault]) -> None:
        try:
            self._apply(previous)
        except Exception as error:
            self.problem = f"a fault that could not be injected may have left effects behind: {error}"
            log.exception("could not restore the previous faults")

    @property
    def _file(self) -> Path:
        return self._snapshot.names.state_dir / "faults.json"

    def _save(self, active: Sequence[ActiveFault], following: int) -> None:
        scratch = self._file.with_suffix(".new")
        scratch.write_text(json.dumps({"next": following, "faults": [one.as_dict() for one in active]}))
        scratch.rename(self._file)

    def _load(self) -> None:
        if not self._file.exists():
            return
        kept = json.loads(self._file.read_text())
        self._next_id = int(kept["next"])
        for one in kept["faults"]:
            try:
                self._active.append(ActiveFault(fault_id=one["id"], fault=parse(one["fault"]), expires_at=one["expires_at"]))
            except FaultError:  # the kind comes from another version of the lab
                log.exception("%s: unknown kind of fault, ignored", one["id"])
