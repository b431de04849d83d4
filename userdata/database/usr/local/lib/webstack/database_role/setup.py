"""A database host's part of configuring itself: volume, server, certificates, and what its data is. Root runs it at each boot."""

import time
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from webstack_host import readiness, services
from webstack_host.config import HostConfig
from webstack_host.run import run

from . import certificates, datadir, install, paths, records, volume
from .boot import BootFacts, Claim, Data, Step, decide_boot
from .looking import peer_view
from .settings import Settings

WAITING_FOR_PRIMARY = {"waiting_for": "primary"}
"""What this host publishes while nobody has begun the database: the program creates db-1 only after db-2 has said so."""

Say = Callable[[str], None]
T = TypeVar("T")


class NotReadyError(RuntimeError):
    """This host must not serve as things stand; the message says why and what to do."""


def configure(config: HostConfig) -> None:
    """Prepares everything up to the start of mysqld. Raises NotReadyError, TimeoutError or CommandError, for a person to read."""
    settings = Settings.of(config.variables)
    deadline = time.monotonic() + settings.readiness_timeout

    def say(reason: str) -> None:
        print(f"webstack: {reason}", flush=True)
        try:
            readiness.publish("starting", reason, facts=facts_of(settings, records.read_claim()))
        except Exception as error:
            print(f"webstack: progress not published: {error}", flush=True)

    def patiently(task: Callable[[], T]) -> T:
        return until(deadline, task)

    say("looking for the data volume")
    run(["systemd-sysusers"])
    if services.is_active("mysql.service"):
        say("mysqld runs already")
    else:
        volume.mount(volume.wait(settings.volume_id, deadline=deadline, say=say))
        if not install.installed():
            say("installing MySQL")
        install.install()
    datadir.layout()
    certificates.ensure_pair(settings)
    patiently(certificates.publish)
    patiently(certificates.refresh)
    run(["mysqld", f"--defaults-file={paths.CONFIGURATION}", "--validate-config"])
    if not services.is_active("mysql.service"):
        prepare_data(settings, say, lambda: patiently(records.read_claim))
    paths.ACCOUNTS_DONE.unlink(missing_ok=True)
    paths.PREPARED.touch()


def facts_of(settings: Settings, claim: Claim | None) -> dict[str, str]:
    """What this host's record tells besides its state."""
    if claim is None:
        return {} if settings.host == settings.first_host else dict(WAITING_FOR_PRIMARY)
    return {"role": "primary" if claim.primary == settings.host else "replica"}


def until(deadline: float, task: Callable[[], T]) -> T:
    """What `task` returns, tried again while AWS does not answer; past the deadline (time.monotonic()) its error is the last word."""
    while True:
        try:
            return task()
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                raise
            print(f"webstack: {error}; trying again", flush=True)
            time.sleep(2)


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
