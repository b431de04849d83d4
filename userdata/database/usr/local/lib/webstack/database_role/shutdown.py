"""Prepares mysqld for a stop (ExecStop of mysql.service, and therefore part of every orderly stop).

A primary fences new writes and waits until every write that it is about to acknowledge is on the replica. If stopped while a commit waits,
mysqld would acknowledge it without a second copy (tested). So if the replica does not answer within the semi-sync timeout, "degraded" is
recorded and the wait ended or, if that cannot be recorded, mysqld is killed: then nothing is acknowledged.

A replica announces to the primary that it leaves, and waits until the primary no longer waits for it. It does so by taking a named lock on
the primary with the replication account: this is authenticated, uses TLS, needs no further privilege, and ends with the connection.
"""

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from webstack_host import aws

from . import paths, records
from .mysql import MySQLClient, MySQLError
from .observe import STOP_LOCK, local_view
from .observed_state import ReplicationMode
from .variables import DatabaseVariables

LOG = logging.getLogger("webstack.stop")

SESSION_GRACE = 3.0
"""Seconds that statements which block the fence may still take after their sessions were told to end."""

STOP_MARGIN = 3.0
"""Additional seconds after the semi-sync timeout that a leaving replica waits for the primary."""

RECORD_DEADLINE = 10.0
"""Seconds within which "degraded" must be recorded; otherwise mysqld is killed."""


def stop(variables: DatabaseVariables, main_pid: int) -> None:
    """Prepares this host's mysqld for its stop. Never raises: systemd stops mysqld next in any case."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    with suppress(OSError):
        paths.STOPPING.touch()
    with role_lock(5.0):
        root = MySQLClient("root", timeout=5.0)
        try:
            local = local_view(root)
            if local is None:
                LOG.info("mysqld does not answer: nothing to prepare")
            elif not local.read_only:
                _fence(variables, root, main_pid)
            elif local.receiver == "ON" and local.source_address:
                announce_stop(variables, root, local.source_address)
        except Exception:
            LOG.exception("the stop was not prepared")
            local = local_view(root)
            if local is not None and not local.read_only:
                _kill(main_pid, "writes could not be fenced")


def _fence(variables: DatabaseVariables, root: MySQLClient, main_pid: int) -> None:
    fencing = threading.Thread(target=_set_super_read_only, daemon=True)
    fencing.start()
    if _wait_until_fenced(root, fencing, variables.semi_sync_timeout_seconds):
        LOG.info("fenced: every acknowledged write is where it should be")
        return
    if _has_waiting_commits(root):
        recorder = threading.Thread(target=_record_degraded, args=(variables, root), daemon=True)
        recorder.start()
        recorder.join(RECORD_DEADLINE)
    else:
        _end_sessions(root)
    if not _wait_until_fenced(root, fencing, SESSION_GRACE):
        _kill(main_pid, "writes are not acknowledged and cannot be fenced")


def _set_super_read_only() -> None:
    # A separate session: the statement waits for commits that wait for the replica, and blocks all later ones.
    try:
        MySQLClient("root", timeout=120.0).run("SET GLOBAL super_read_only = ON")
    except MySQLError as error:
        LOG.warning("fence: %s", error)


def _wait_until_fenced(root: MySQLClient, fencing: threading.Thread, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        local = local_view(root)
        if local is None or (local.super_read_only and local.waiting == 0):
            return True
        fencing.join(0.05)
        time.sleep(0.05)
    return False


def _has_waiting_commits(root: MySQLClient) -> bool:
    local = local_view(root)
    return local is not None and local.waiting > 0


def _record_degraded(variables: DatabaseVariables, root: MySQLClient) -> None:
    try:
        records.write_mode(ReplicationMode.DEGRADED, primary=variables.host, reason="stopped while the replica did not acknowledge")
        root.run("SET GLOBAL rpl_semi_sync_source_enabled = OFF")
        LOG.warning("degraded: stopped while the replica did not acknowledge")
    except Exception:
        LOG.exception("degraded could not be recorded")


def _end_sessions(root: MySQLClient) -> None:
    sessions = root.rows(
        "SELECT PROCESSLIST_ID AS id FROM performance_schema.threads WHERE TYPE = 'FOREGROUND' AND PROCESSLIST_ID <> CONNECTION_ID()"
        " AND PROCESSLIST_USER LIKE 'app\\_%%'"
    )
    for session in sessions:
        with suppress(MySQLError):
            root.run(f"KILL {int(session['id'])}")


def _kill(main_pid: int, reason: str) -> None:
    LOG.warning("mysqld is killed rather than stopped: %s", reason)
    if main_pid > 1:
        os.kill(main_pid, signal.SIGKILL)


def announce_stop(variables: DatabaseVariables, root: MySQLClient, address: str) -> None:
    """Announces to the primary at `address` that this replica leaves, waits until it no longer waits for it, and stops the receiver."""
    deadline = time.monotonic() + variables.semi_sync_timeout_seconds + STOP_MARGIN
    primary = MySQLClient("replication", address=address, password=aws.secret("database-replication"), timeout=2.0)
    try:
        primary.row("SELECT GET_LOCK(%s, 0) AS held", [STOP_LOCK.format(host=variables.host)])
        while time.monotonic() < deadline:
            if not primary.row("SELECT @@global.rpl_semi_sync_source_enabled AS semi_sync")["semi_sync"]:
                LOG.info("the primary no longer waits for this replica")
                break
            time.sleep(0.05)
        else:
            LOG.warning("the primary did not answer in time: its writes stop for its patience")
    except MySQLError as error:
        LOG.warning("the primary could not be told: %s", error)
    root.run("STOP REPLICA IO_THREAD")
    primary.close()


@contextmanager
def role_lock(timeout: float) -> Generator[None]:
    """Takes the lock for role changes, but only if it is free in time: an agent in a long copy must not delay a stop."""
    with paths.ROLE_LOCK.open("a") as file:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
        yield
