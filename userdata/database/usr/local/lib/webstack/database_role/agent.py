"""The agent: observes, decides, executes one action, and observes again. It controls this host's role and the primary's semi-sync."""

import fcntl
import json
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from webstack_host import aws

from . import certificates, datadir, paths, receiver_password, records
from .ack_timer import AckTimer
from .actions import ActionExecutor
from .boot import DataState, PrimaryRecord
from .clock import utc_timestamp
from .decision import NO_OPS, Action, Decision, decide
from .gtid import GtidSet
from .mysql import MySQLClient, MySQLError
from .observe import has_announced_stop, local_view, peer_view, primary_view
from .observed_state import LocalView, ObservedState, ReplicationMode
from .variables import DatabaseVariables

LOG = logging.getLogger("webstack.agent")

STEP_INTERVAL = 0.25
"""Seconds between two observations."""

MODE_INTERVAL = 3.0
"""Seconds between two reads of the last primary's record while this host has no data of its own."""

CERTIFICATE_INTERVAL = 30.0
"""Seconds between two reads of the certificates while all is well; a tenth of it otherwise."""


class Agent:
    """One host's agent. `step()` observes, decides and acts once; `run()` repeats it forever."""

    def __init__(self, variables: DatabaseVariables) -> None:
        self._variables = variables
        self._server = MySQLClient(paths.AGENT_USER, timeout=10.0)
        self._executor = ActionExecutor(server=self._server, peer=variables.peer)
        self._ack_timer = AckTimer()
        self._primary_record: PrimaryRecord | None = None
        self._mode: ReplicationMode | None = None
        self._mode_read = False
        self._mode_at = float("-inf")
        self._baseline: GtidSet | None = None
        self._primary: MySQLClient | None = None
        self._start_error = ""
        self._certificates_at = float("-inf")
        self._published_at = time.monotonic()
        """Each boot publishes the certificate before the agent starts."""
        self._last_decision: Decision | None = None

    def run(self) -> None:
        """Steps until the process is stopped. A failed step is logged and tried again."""
        last: Decision | None = None
        while True:
            decision = None
            try:
                decision = self.step()
            except (MySQLError, OSError) as error:
                self._publish_failure(error)
            except Exception as error:
                # boto3's exceptions have no other common base class; any other error is also better logged and retried.
                self._publish_failure(error)
            # After an action, continue at once; the same action again means that it had no effect yet.
            if decision is None or decision.action in NO_OPS or decision == last:
                time.sleep(STEP_INTERVAL)
            last = decision

    def step(self) -> Decision:
        """Observes, decides and acts once."""
        self._read_records()
        with self._role_lock():
            seen = self._observe()
            decision = decide(seen)
            self._publish_decision(decision)
            if decision.action not in NO_OPS:
                self._act(decision, seen)
        self._refresh_certificates(well=decision.action is Action.HEALTHY)
        return decision

    def _read_records(self) -> None:
        if self._primary_record is None:
            self._primary_record = records.read_primary()
        seeds = datadir.read().data is DataState.CLONE_TARGET
        if seeds and time.monotonic() - self._mode_at > MODE_INTERVAL:
            self._mode_read = False  # a person may change the record to release a blank primary
        if not self._mode_read and self._primary_record is not None and self._primary_record.primary == self._variables.host:
            self._mode = records.read_mode()
            self._mode_read, self._mode_at = True, time.monotonic()

    def _observe(self) -> ObservedState:
        variables = self._variables
        primary = self._primary_record.primary if self._primary_record else None
        record = datadir.read()
        local = self._with_start_error(local_view(self._server, cloned_before=record.cloned_before))
        follows = primary is not None and primary != variables.host and record.data is DataState.SEEDED
        address = endpoint.address if primary and (endpoint := variables.endpoint(primary)) else ""
        leads = primary == variables.host and local is not None and not local.read_only
        return ObservedState(
            host=variables.host,
            primary=primary,
            has_replica=variables.has_replica,
            ack_timeout=variables.semi_sync_timeout_seconds,
            data=record.data,
            local=local,
            # Read after the local server, so that a transaction that is missing there is really missing.
            primary_view=primary_view(self._primary_server(address)) if follows and address else None,
            primary_address=address,
            peer=peer_view(variables.peer) if variables.peer and self._needs_peer(local, record.data, leads=leads) else None,
            mode=self._mode,
            replica_stopping=leads and variables.peer is not None and has_announced_stop(self._server, variables.peer.host),
            stopping=paths.STOPPING.exists(),
            seconds_without_ack=self._ack_timer.seconds_without_ack(local, time.monotonic()),
            semi_sync_baseline=self._baseline,
        )

    def _needs_peer(self, local: LocalView | None, data: DataState, *, leads: bool) -> bool:
        return local is not None and (data is DataState.CLONE_TARGET or (leads and self._mode is ReplicationMode.DEGRADED))

    def _primary_server(self, address: str) -> MySQLClient:
        if self._primary is None:
            password = partial(aws.secret, receiver_password.PURPOSE)
            self._primary = MySQLClient("replication", address=address, password=password, timeout=2.0, connect_timeout=1.0)
        return self._primary

    def _act(self, decision: Decision, observed: ObservedState) -> None:
        if decision.action is Action.RECORD_DEGRADED:
            self._record(ReplicationMode.DEGRADED, decision.reason)
        elif decision.action is Action.RECORD_LOSSLESS:
            self._record(ReplicationMode.LOSSLESS, decision.reason)
        elif decision.action is Action.START_APPLIER:
            self._start_applier(decision.reason)
        else:
            self._executor.execute(decision.action, decision.reason)
        if decision.action is Action.SEMI_SYNC_ON:
            after = local_view(self._server)
            self._baseline = after.executed if after else None
        elif decision.action is Action.SEMI_SYNC_OFF or (observed.local and not observed.local.semi_sync):
            self._baseline = None

    def _start_applier(self, reason: str) -> None:
        # MySQL keeps no record of why an applier could not start; only the statement's own error says it.
        self._start_error = ""
        try:
            self._executor.execute(Action.START_APPLIER, reason)
        except MySQLError as error:
            self._start_error = str(error)
            raise

    def _with_start_error(self, local: LocalView | None) -> LocalView | None:
        if local is None or local.applier != "OFF" or not local.source_address:
            self._start_error = ""
            return local
        return replace(local, applier_error=local.applier_error or self._start_error)

    def _record(self, mode: ReplicationMode, reason: str) -> None:
        records.write_mode(mode, primary=self._variables.host, reason=reason)
        self._mode = mode

    def _refresh_certificates(self, *, well: bool) -> None:
        moment = time.monotonic()
        if moment - self._certificates_at < (CERTIFICATE_INTERVAL if well else CERTIFICATE_INTERVAL / 10):
            return
        self._certificates_at = moment
        if certificates.refresh():
            LOG.info("the hosts' certificates changed")
            self._server.run("ALTER INSTANCE RELOAD TLS")
            if self._primary is not None:
                self._primary.close()
        if moment - self._published_at >= certificates.REPUBLISH_INTERVAL:
            certificates.publish()
            self._published_at = moment

    def _publish_decision(self, decision: Decision) -> None:
        if decision == self._last_decision:
            return
        self._last_decision = decision
        level = logging.WARNING if decision.action in {Action.BLOCKED, Action.PREPARE_RECLONE, Action.RECORD_DEGRADED} else logging.INFO
        LOG.log(level, "%s: %s", decision.action.value, decision.reason)
        body = {
            "action": decision.action.value,
            "reason": decision.reason,
            "mode": self._mode.value if self._mode else "",
            "time": utc_timestamp(),
        }
        draft = paths.AGENT_STATUS.with_suffix(".new")
        draft.write_text(json.dumps(body, indent=2) + "\n")
        draft.replace(paths.AGENT_STATUS)

    def _publish_failure(self, error: Exception) -> None:
        failed = Decision(action=Action.WAIT, reason=f"{type(error).__name__}: {error}")
        if failed != self._last_decision:
            self._publish_decision(failed)

    @contextmanager
    def _role_lock(self) -> Generator[None]:
        """Holds the lock for role changes. A stop of mysqld holds it until mysqld has ended."""
        with paths.ROLE_LOCK.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def main(variables: DatabaseVariables) -> None:
    """Runs this host's agent."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    Agent(variables).run()
