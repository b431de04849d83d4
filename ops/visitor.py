"""The site, asked once as a visitor asks it, for `webstack lab status`: that hosts serve does not mean that anybody reaches them."""

import queue
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lab.engine import outputs
from lab.session import Session
from ops.hosts import Host
from stack.naming import PROJECT
from stack.printable import printable
from stack.visit import Place, RefusedError, require_valid, visit

SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 2.0
"""Seconds for everything that is asked, and of these for the first connection."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a visitor finds. `refusal` says why the site does not answer, and is empty where it does."""

    url: str
    refusal: str = ""

    @property
    def line(self) -> str:
        """For people."""
        return f"site   {self.url}   {f'does not answer: {self.refusal}' if self.refusal else 'answers'}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"url": self.url, "answers": not self.refusal, "told": self.refusal or "answers"}


def place(session: Session, hosts: Sequence[Host]) -> Place | None:
    """Where the lab's site is: what the stack gives out, or else a load balancer's address, before an `up` has ended; None without."""
    given = outputs.read(session.engine_home, PROJECT, session.remembered_stack() or "")
    address, url = given.get("public_address"), given.get("url")
    if isinstance(address, str) and isinstance(url, str) and (name := urlsplit(url).hostname):
        return Place(address=address, name=name)
    found = next((host.public_ip for host in hosts if host.role == "load_balancer" and host.public_ip), "")
    return Place(address=found, name=found) if found else None


def look(place: Place) -> Seen:
    """Asks the site what an `up` asks in the end, once, for SECONDS at most."""
    answers: queue.Queue[str] = queue.Queue()
    # A thread of its own, which nobody waits for: a site that answers a byte a second would hold a limit of each single read up.
    threading.Thread(target=lambda: answers.put(_refusal(place)), daemon=True).start()
    try:
        return Seen(url=place.url, refusal=printable(answers.get(timeout=SECONDS)))
    except queue.Empty:
        return Seen(url=place.url, refusal=f"no whole answer within {SECONDS:.0f} s")


def _refusal(place: Place) -> str:
    try:
        socket.create_connection((place.address, place.port), timeout=CONNECT_SECONDS).close()
        visit(place)
        require_valid(place)
    except TimeoutError:
        return f"nobody answers at {place.address} port {place.port}"
    except OSError as error:
        return f"{place.address} port {place.port}: {error.strerror or error}"
    except RefusedError as error:
        return error.reason
    except Exception as error:  # whatever a site says, the hosts are told of
        return f"{type(error).__name__}: {error}"
    return ""
