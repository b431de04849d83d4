"""Configures a database host: volume, server, certificates and data. Root runs it at each boot."""

from collections.abc import Callable

from webstack_host import readiness, services
from webstack_host.errors import PermanentError
from webstack_host.run import run, validate

from . import certificates, datadir, filesystem, install, paths, records, volume
from .boot import BootState, BootStep, DataState, PrimaryRecord, decide_boot
from .observe import peer_view
from .variables import DatabaseVariables

WAITING_FOR_PRIMARY = {"waiting_for": "primary"}
"""The message that this host publishes before the database exists: the program creates db-1 only after db-2 has published it."""

ProgressCallback = Callable[[str], None]


class BootBlockedError(PermanentError):
    """This host must not serve in its current state; the message says why and what to do."""


def configure(variables: DatabaseVariables) -> None:
    """Prepares everything up to the start of mysqld.

    Raises BootBlockedError if this host must not serve, and other errors that a later attempt may overcome.
    """

    def say(reason: str) -> None:
        print(f"webstack: {reason}", flush=True)
        try:
            readiness.publish("starting", reason, facts=record_facts(variables, records.read_primary()))
        except Exception as error:
            print(f"webstack: progress not published: {error}", flush=True)

    say("looking for the data volume")
    run(["systemd-sysusers"])
    if services.is_active("mysql.service"):
        say("mysqld runs already")
    else:
        volume.mount(volume.wait(variables.volume_id, progress=say))
        filesystem.grow(seconds=filesystem.BOOT_TIMEOUT)
        if not install.installed():
            say("installing MySQL")
        install.install()
    datadir.create_folders()
    if not services.is_active("mysql.service"):
        certificates.ensure_pair(variables)
    certificates.publish()
    certificates.refresh()
    validate(["mysqld", f"--defaults-file={paths.CONFIGURATION}", "--validate-config"])
    if not services.is_active("mysql.service"):
        prepare_data(variables, say, records.read_primary)
    paths.ACCOUNTS_DONE.unlink(missing_ok=True)
    paths.PREPARED.touch()


def record_facts(variables: DatabaseVariables, primary_record: PrimaryRecord | None) -> dict[str, str]:
    """Returns the facts in this host's readiness record."""
    facts = filesystem.facts()
    if primary_record is None:
        return facts if variables.host == variables.first_host else {**facts, **WAITING_FOR_PRIMARY}
    return {**facts, "role": "primary" if primary_record.primary == variables.host else "replica"}


def prepare_data(variables: DatabaseVariables, progress: ProgressCallback, read_primary: Callable[[], PrimaryRecord | None]) -> None:
    """Takes the boot's steps until mysqld can be started. Raises BootBlockedError if it must not be."""
    prepared = False
    while True:
        record = datadir.read()
        claim = read_primary()
        decision = decide_boot(
            BootState(
                host=variables.host,
                first_host=variables.first_host,
                data=record.data,
                data_id=record.data_id,
                primary_record=claim,
                has_replica=variables.has_replica,
                peer_has_data=_peer_has_data(variables) if claim is None else None,
                prepared=prepared,
            )
        )
        progress(decision.reason)
        if decision.step is BootStep.START:
            return
        if decision.step is BootStep.BLOCKED:
            raise BootBlockedError(decision.reason)
        if decision.step is BootStep.INITIALISE:
            datadir.initialise(DataState.INITIALISED, decision.reason)
        elif decision.step is BootStep.CLAIM_PRIMARY:
            # Whether or not another host was faster: the next read of the claim shows it.
            records.create_primary(PrimaryRecord(primary=variables.host, data_id=record.data_id))
        elif decision.step is BootStep.MARK_SEEDED:
            datadir.set_state(DataState.SEEDED, decision.reason)
        else:
            datadir.initialise(DataState.CLONE_TARGET, decision.reason)
            prepared = True


def _peer_has_data(variables: DatabaseVariables) -> bool | None:
    found = peer_view(variables.peer) if variables.peer else None
    return None if found is None else found.data is DataState.SEEDED
