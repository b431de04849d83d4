"""`webstack-database reseed`: replaces a replica's data with a new copy of the primary's, on an operator's request.

It is for an applier that stopped permanently because the primary's transactions cannot be applied to the replica's data, which only new
data can fix. The command marks the data to be copied again; the agent does the rest, even if the command is interrupted (see `decision`).
If the primary waits for this replica, it first announces that it leaves, as before a stop, so that no write is blocked.
"""

import json
import os
import sys
import time
import urllib.request
from typing import Any

from webstack_host.variables import DatabaseEndpoint

from . import datadir, paths, records, shutdown
from .actions import ActionExecutor
from .boot import DataState
from .clock import utc_timestamp
from .decision import Action
from .gtid import EMPTY, GtidSet
from .mysql import MySQLClient, MySQLError
from .observe import local_view, peer_view
from .observed_state import LocalView
from .variables import DatabaseVariables

REASON = "asked for by `webstack-database reseed`"

CATCH_UP_DEADLINE = 10.0
"""Seconds to wait until the primary has executed what its replica has already received and acknowledged."""

POLL_INTERVAL = 1.0
"""Seconds between two reads of the copy's progress."""

_PROGRESS = """SELECT STAGE AS stage, DATA AS done, ESTIMATE AS total FROM performance_schema.clone_progress
 WHERE STATE = 'In Progress' AND ESTIMATE > 0"""


class ReseedRefusedError(RuntimeError):
    """Nothing was changed; the message says why, and what to do."""


def main(variables: DatabaseVariables, *, discard: bool) -> int:
    """Marks this host's data, and shows the progress until it replicates. Returns the exit code."""
    try:
        since = utc_timestamp()
        primary = begin(variables, discard=discard)
        return watch_progress(variables, primary, since=since)
    except ReseedRefusedError as error:
        print(f"{variables.host} is not copied anew: {error}", file=sys.stderr)
        return 1
    except MySQLError as error:
        print(f"{variables.host}: {error}. Run this again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe copy goes on by itself: `journalctl -u webstack-database-agent` tells of it.", file=sys.stderr)
        return 130


def begin(variables: DatabaseVariables, *, discard: bool) -> str:
    """Marks this host's data to be copied again; returns the primary's name.

    Raises ReseedRefusedError on a primary, if the primary does not answer, and if only this host has some transactions, unless `discard`.
    Raises MySQLError if this host's server fails in between; running the command again then continues.
    """
    if os.geteuid() != 0:
        raise ReseedRefusedError("this takes root (on AWS: `sudo webstack-database reseed`)")
    primary = _primary(variables)
    with shutdown.role_lock(CATCH_UP_DEADLINE):
        record = datadir.read()
        if record.data is DataState.CLONE_TARGET:
            print(f"{variables.host} is being copied already: {record.reason}", flush=True)
            return primary.host
        if record.data is not DataState.SEEDED:
            raise ReseedRefusedError(f"it holds no data of the stack yet: {record.data.value}")
        root = MySQLClient("root", timeout=30.0)
        local = local_view(root)
        if local is None:
            raise ReseedRefusedError("its own mysqld does not answer: `systemctl status mysql`")
        if lost := _errant_transactions(root, primary, local):
            if not discard:
                raise ReseedRefusedError(
                    f"it holds transactions that {primary.host} does not and that were not made here: {lost}. One of the two has lost"
                    " data. Where this host's are to be given up: webstack-database reseed --discard"
                )
            print(f"given up: {lost}", flush=True)
        if local.receiver == "ON":
            shutdown.announce_stop(variables, root, local.source_address)
        ActionExecutor(server=root, peer=primary).execute(Action.PREPARE_RECLONE, REASON)
    print(f"{variables.host} gives its data up for a copy of {primary.host}'s", flush=True)
    return primary.host


def _primary(variables: DatabaseVariables) -> DatabaseEndpoint:
    try:
        claim = records.read_primary()
    except Exception as error:
        raise ReseedRefusedError(f"the artifact bucket does not say who is primary: {error}") from error
    if claim is None:
        raise ReseedRefusedError("nobody has begun this stack's database yet")
    if claim.primary == variables.host:
        others = ", ".join(each.host for each in variables.databases if each.host != variables.host) or "there is none"
        raise ReseedRefusedError(f"it is the primary, and its data is the stack's. A replica is copied anew on the replica: {others}")
    primary = variables.endpoint(claim.primary)
    if primary is None:
        raise ReseedRefusedError(f"{claim.primary} is primary, and this host is not told of it")
    seen = peer_view(primary, timeout=5.0)
    if seen is None:
        raise ReseedRefusedError(f"the primary {primary.host} does not answer: there is nothing to copy")
    if seen.data is not DataState.SEEDED or not seen.writable or seen.stopping:
        raise ReseedRefusedError(f"the primary {primary.host} does not take writes: what is here may be the stack's only data")
    return primary


def _errant_transactions(root: MySQLClient, primary: DatabaseEndpoint, local: LocalView) -> GtidSet:
    """Returns the transactions that only this host has and that other servers made. The agent discards those made here anyway."""
    deadline = time.monotonic() + CATCH_UP_DEADLINE
    lost = EMPTY
    while True:
        seen = peer_view(primary, timeout=5.0)
        if seen is not None:
            lost = (local.held - seen.executed).without_source(local.server_uuid)
            if not lost:
                return lost
        if time.monotonic() > deadline:
            if seen is None:
                raise ReseedRefusedError(f"the primary {primary.host} does not answer any more")
            return lost
        time.sleep(0.25)


def watch_progress(variables: DatabaseVariables, primary: str, *, since: str) -> int:
    """Prints what the agent does until this host replicates, ignoring its status from before `since`. Returns the exit code."""
    last_line = ""
    while not _replicates(variables):
        agent = _agent(since)
        doing = f"{agent['action']}: {agent['reason']}" if agent else "the agent has not spoken yet"
        if agent.get("action") == Action.BLOCKED.value and datadir.read().data is DataState.CLONE_TARGET:
            raise ReseedRefusedError(agent.get("reason", ""))
        line = f"{doing}{_clone_progress()}"
        if line != last_line:
            print(line, flush=True)
        last_line = line
        time.sleep(POLL_INTERVAL)
    print(f"{variables.host} replicates from {primary}", flush=True)
    return 0


def _replicates(variables: DatabaseVariables) -> bool:
    own = variables.endpoint(variables.host)
    if own is None or datadir.read().data is not DataState.SEEDED:
        return False
    try:
        with urllib.request.urlopen(f"http://{own.address}:{paths.CHECK_PORT}/replica", timeout=2.0) as answer:
            return answer.status == 200
    except OSError:
        return False


def _agent(since: str) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(paths.AGENT_STATUS.read_text())
    except (OSError, ValueError):
        return {}
    return said if str(said.get("time", "")) >= since else {}


def _clone_progress() -> str:
    """Returns the progress of the copy's current stage; empty if none is running."""
    server = MySQLClient("root", timeout=2.0)
    try:
        row = server.row(_PROGRESS)
    except MySQLError:
        return ""
    finally:
        server.close()
    if not row:
        return ""
    percent = min(100, round(100 * int(row["done"]) / int(row["total"])))
    return f" ({str(row['stage']).lower()}: {percent} % of {int(row['total']) / 2**20:.0f} MiB)"
