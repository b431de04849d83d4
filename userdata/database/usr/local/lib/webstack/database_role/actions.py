"""Carries out the agent's actions. Each is safe to repeat, and the next observation shows its effect."""

from dataclasses import dataclass, replace

from webstack_host import aws
from webstack_host.variables import DatabaseEndpoint

from . import datadir, paths, receiver_password
from .boot import DataState
from .decision import Action
from .mysql import MySQLClient, MySQLError, quote
from .observe import last_clone

CLONE_TIMEOUT = 6 * 3600.0
"""Seconds that a clone statement may take: it copies everything."""

LOCK_WAIT = "SET SESSION lock_wait_timeout = 5"
"""Limits the seconds that a statement waits for the global read lock, so that the agent is not blocked by a commit and tries again."""


@dataclass(frozen=True, kw_only=True)
class ActionExecutor:
    """Executes actions with the local server and the other host's endpoint."""

    server: MySQLClient
    peer: DatabaseEndpoint | None

    def execute(self, action: Action, reason: str) -> None:
        """Executes one action on the local server. Raises MySQLError and what the AWS API raises."""
        simple = _STATEMENTS.get(action)
        if simple is not None:
            self.server.run(*simple)
        elif action is Action.SET_SOURCE:
            self._set_source()
        elif action is Action.RESET_RELAY_LOG:
            self.server.run("STOP REPLICA", "RESET REPLICA ALL")
        elif action is Action.START_RECEIVER:
            receiver_password.start(self.server)
        elif action is Action.PREPARE_RECLONE:
            self._prepare_reclone(reason)
        elif action is Action.CLONE:
            self._clone()
        elif action is Action.ACCEPT_CLONE:
            datadir.write(replace(datadir.read(), data=DataState.SEEDED, reason=reason, cloned_before=""))
        else:
            raise ValueError(f"{action} is not an action on the local server")

    def _peer(self) -> DatabaseEndpoint:
        if self.peer is None:
            raise ValueError("this stack has no other database host")
        return self.peer

    def _set_source(self) -> None:
        options = {
            "SOURCE_HOST": quote(self._peer().address),
            "SOURCE_PORT": str(paths.MYSQL_PORT),
            "SOURCE_AUTO_POSITION": "1",
            "SOURCE_SSL": "1",
            "SOURCE_SSL_CA": quote(str(paths.TRUSTED_CERTIFICATES)),
            "SOURCE_SSL_VERIFY_SERVER_CERT": "1",
            "SOURCE_CONNECT_RETRY": "1",
            "SOURCE_RETRY_COUNT": "86400",
            "SOURCE_HEARTBEAT_PERIOD": "1",
        }
        listed = ", ".join(f"{name}={value}" for name, value in options.items())
        self.server.run("STOP REPLICA", "RESET REPLICA ALL", f"CHANGE REPLICATION SOURCE TO {listed}")

    def _prepare_reclone(self, reason: str) -> None:
        # Record this first: from here on this host's data no longer counts as the stack's.
        datadir.write(datadir.DataRecord(data=DataState.CLONE_TARGET, reason=reason, cloned_before=last_clone(self.server)))
        self.server.run("STOP REPLICA", "RESET REPLICA ALL")

    def _clone(self) -> None:
        peer = self._peer()
        secret = quote(aws.secret("database-clone"))
        patient = MySQLClient(paths.AGENT_USER, timeout=CLONE_TIMEOUT)
        try:
            # The clone drops the existing data, which super_read_only forbids; read_only stays, so that no client can write in between.
            patient.run(
                "STOP REPLICA",
                "RESET REPLICA ALL",
                "SET GLOBAL super_read_only = OFF",
                f"SET GLOBAL clone_valid_donor_list = {quote(f'{peer.address}:{paths.MYSQL_PORT}')}",
                f"CLONE INSTANCE FROM 'clone'@{quote(peer.address)}:{paths.MYSQL_PORT} IDENTIFIED BY {secret} REQUIRE SSL",
            )
        except MySQLError:
            # The server restarts as soon as the copy is complete, often before it answers; the result is in clone_status.
            if last_clone(self.server) == "" and not paths.STOPPING.exists():
                raise
        finally:
            patient.close()
            self.server.close()


_STATEMENTS: dict[Action, tuple[str, ...]] = {
    Action.SEMI_SYNC_ON: ("SET GLOBAL rpl_semi_sync_source_enabled = ON",),
    Action.SEMI_SYNC_OFF: ("SET GLOBAL rpl_semi_sync_source_enabled = OFF",),
    Action.SET_WRITABLE: (LOCK_WAIT, "SET GLOBAL read_only = OFF"),
    Action.SET_READ_ONLY: (LOCK_WAIT, "SET GLOBAL super_read_only = ON"),
    Action.DROP_CHANNEL: ("STOP REPLICA", "RESET REPLICA ALL"),
    Action.START_APPLIER: ("START REPLICA SQL_THREAD",),
    Action.STOP_RECEIVER: ("STOP REPLICA IO_THREAD",),
}
