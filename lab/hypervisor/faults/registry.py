"""The faults that are on: given, listed, taken back, and known again after the daemon was killed."""

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
"""Seconds for which a fault may be given at the most; without an end it lasts until it is taken back."""


@dataclass(frozen=True, kw_only=True)
class ActiveFault:
    """A fault that is on."""

    fault_id: str
    fault: Fault
    expires_at: float | None = None
    """Seconds since the epoch at which it ends by itself."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the registry's own record too."""
        return {"id": self.fault_id, "expires_at": self.expires_at, "fault": serialize(self.fault)}


class FaultRegistry:
    """The faults of one lab. Blocking, and safe to call from any thread.

    What hosts suffer always follows from all active faults together, computed anew at each change: faults may overlap and be taken back in
    any order.
    """

    def __init__(self, names: LabNames, injectors: Sequence[FaultInjector]) -> None:
        self.problem: str | None = None
        """Why the active faults could not be made real at the last change of machines, for people."""
        self._injectors = list(injectors)
        self._snapshot = LabSnapshot(names=names)
        self._synced = False
        """Whether the machines are known. Until then an earlier daemon's effects stand, and nothing is computed from an empty lab."""
        self._lock = threading.Lock()
        self._active: list[ActiveFault] = []
        self._next_id = 1
        self._load()

    @property
    def active(self) -> list[ActiveFault]:
        """Those that are on, oldest first."""
        return list(self._active)

    def is_active(self, fault_id: str) -> bool:
        """Whether this fault has been given and has not ended."""
        return any(one.fault_id == fault_id for one in self._active)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Those that are on, each with its words and what it waits for; for JSON."""
        return [
            one.as_dict() | {"summary": one.fault.summary(), "inactive_reasons": one.fault.inactive_reasons(self._snapshot)}
            for one in self.active
        ]

    def on_path(self, source: str, target: str) -> list[str]:
        """The faults on the way between two ends (instance ids, `internet`, `aws`), in words."""
        return [
            f"fault {one.fault_id}: {one.fault.summary()}" for one in self.active if one.fault.affects_path(self._snapshot, source, target)
        ]

    def inject(self, description: object, seconds: float | None = None) -> ActiveFault:
        """Puts a fault on, for so many seconds or until it is taken back: wholly, or not at all and FaultError says why."""
        if seconds is not None and not 0 < seconds <= MAX_SECONDS:
            raise FaultError(
                f"for {seconds:g} seconds: a fault lasts from a fraction of a second to a week ({MAX_SECONDS}), or without an end"
            )
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
                    error if isinstance(error, FaultError) else FaultError(f"{fault.summary()}: it could not be given: {error}")
                ) from error
            self._active, self._next_id = [*before, given], self._next_id + 1
        log.info("%s: %s", given.fault_id, fault.summary())
        return given

    def clear(self, *fault_ids: str) -> list[ActiveFault]:
        """Ends faults, all if none is named; those that were ended. Raises FaultError, and ends none, where one is not on."""
        with self._lock:
            self._require_machines("take back faults")  # else it would be listed as over while it still holds
            known = {one.fault_id for one in self._active}
            for fault_id in fault_ids:
                if fault_id not in known:
                    raise FaultError(f"fault {fault_id!r}: no such fault is on; on are {', '.join(sorted(known)) or 'none'}")
            ended = [one for one in self._active if not fault_ids or one.fault_id in fault_ids]
            kept = [one for one in self._active if one not in ended]
            self._apply(kept)
            self._active = kept
            self._save(kept, self._next_id)
        for one in ended:
            log.info("%s: over: %s", one.fault_id, one.fault.summary())
        return ended

    def sync(self, machines: Mapping[str, DesiredMachine]) -> None:
        """Makes the active faults hold for the machines as they are now. Never raises: see `problem`."""
        with self._lock:
            self._snapshot, self._synced = LabSnapshot(names=self._snapshot.names, machines=machines), True
            self._reapply()

    def before_boot(self, instance_id: str) -> None:
        """Makes the active faults hold for a machine that is about to run its first process. Never raises: see `problem`."""
        with self._lock:
            for injector in self._injectors:
                injector.before_boot(instance_id)
            self._reapply()

    def _require_machines(self, action: str) -> None:
        if not self._synced:
            raise FaultError(f"{action}: the lab's daemon has not yet heard from the AWS API which hosts there are; try again")

    def _reapply(self) -> None:
        try:
            self._apply(self._active)
            self.problem = None
        except Exception as error:
            self.problem = f"the active faults do not all hold: {error}"
            log.exception("the active faults could not be applied")

    def _apply(self, active: Sequence[ActiveFault]) -> None:
        """Has every injector try, whatever becomes of the others; then raises the first error."""
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
            self.problem = f"a fault that could not be given may have left something behind: {error}"
            log.exception("could not go back to the faults of before")

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
            except FaultError:  # another version of the lab knew this kind
                log.exception("%s: is forgotten", one["id"])
