"""A database host's part of configuring itself: volume, server, certificates, and what its data is. Root runs it at each boot."""

from collections.abc import Callable

from webstack_host import readiness, services
from webstack_host.config import HostConfig
from webstack_host.errors import PermanentError
from webstack_host.run import run, validate

from . import certificates, datadir, growth, install, paths, records, volume
from .boot import BootFacts, Claim, Data, Step, decide_boot
from .looking import peer_view
from .settings import Settings

WAITING_FOR_PRIMARY = {"waiting_for": "primary"}
"""What this host publishes while nobody has begun the database: the program creates db-1 only after db-2 has said so."""

Say = Callable[[str], None]


class NotReadyError(PermanentError):
    """This host must not serve as things stand; the message says why and what to do."""


def configure(config: HostConfig) -> None:
    """Prepares everything up to the start of mysqld.

    Raises NotReadyError where this host must not serve, and what came in the way where a later attempt may get further.
    """
    settings = Settings.of(config.variables)

    def say(reason: str) -> None:
        print(f"webstack: {reason}", flush=True)
        try:
            readiness.publish("starting", reason, facts=facts_of(settings, records.read_claim()))
        except Exception as error:
            print(f"webstack: progress not published: {error}", flush=True)

    say("looking for the data volume")
    run(["systemd-sysusers"])
    if services.is_active("mysql.service"):
        say("mysqld runs already")
    else:
        volume.mount(volume.wait(settings.volume_id, say=say))
        growth.follow(seconds=growth.AT_BOOT)
        if not install.installed():
            say("installing MySQL")
        install.install()
    datadir.layout()
    if not services.is_active("mysql.service"):
        certificates.ensure_pair(settings)
    certificates.publish()
    certificates.refresh()
    validate(["mysqld", f"--defaults-file={paths.CONFIGURATION}", "--validate-config"])
    if not services.is_active("mysql.service"):
        prepare_data(settings, say, records.read_claim)
    paths.ACCOUNTS_DONE.unlink(missing_ok=True)
    paths.PREPARED.touch()


def facts_of(settings: Settings, claim: Claim | None) -> dict[str, str]:
    """What this host's record tells besides its state."""
    facts = growth.facts()
    if claim is None:
        return facts if settings.host == settings.first_host else {**facts, **WAITING_FOR_PRIMARY}
    return {**facts, "role": "primary" if claim.primary == settings.host else "replica"}


def prepare_data(settings: Settings, say: Say, read_claim: Callable[[], Claim | None]) -> None:
    """Takes the boot's steps until there is something to start. Raises NotReadyError where there must not be."""
    prepared = False
    while True:
        record = datadir.read()
        claim = read_claim()
        decision = decide_boot(
            BootFacts(
                host=settings.host,
                first_host=settings.first_host,
                data=record.data,
                data_id=record.data_id,
                claim=claim,
                replica=settings.replica,
                peer_has_data=_peer_has_data(settings) if claim is None else None,
                prepared=prepared,
            )
        )
        say(decision.reason)
        if decision.step is Step.START:
            return
        if decision.step is Step.REFUSE:
            raise NotReadyError(decision.reason)
        if decision.step is Step.INITIALISE:
            datadir.initialise(Data.INITIALISED, decision.reason)
        elif decision.step is Step.CLAIM:
            # Lost to somebody else or not: the next look at the claim tells which.
            records.create_claim(Claim(primary=settings.host, data_id=record.data_id))
        elif decision.step is Step.MARK_SEEDED:
            datadir.mark(Data.SEEDED, decision.reason)
        else:
            datadir.initialise(Data.RECIPIENT, decision.reason)
            prepared = True


def _peer_has_data(settings: Settings) -> bool | None:
    found = peer_view(settings.peer) if settings.peer else None
    return None if found is None else found.data is Data.SEEDED
