"""The site, asked once as a visitor asks it, for `webstack lab status`: that hosts serve does not mean that anybody reaches them."""

import queue
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lab.engine import outputs
from lab.lab_handle import LabHandle
from ops.hosts import Host
from stack.naming import PROJECT
from stack.sanitize import sanitize
from stack.site_probe import ProbeError, SiteEndpoint, probe_site, require_unexpired_certificate

TIMEOUT: Final = 5.0
CONNECT_TIMEOUT: Final = 2.0
"""Seconds for everything that is asked, and of these for the first connection."""


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    """What a visitor finds. `error` says why the site does not answer, and is empty where it does."""

    url: str
    error: str = ""

    @property
    def line(self) -> str:
        """For people."""
        return f"site   {self.url}   {f'does not answer: {self.error}' if self.error else 'answers'}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"url": self.url, "answers": not self.error, "message": self.error or "answers"}


def find_site(session: LabHandle, hosts: Sequence[Host]) -> SiteEndpoint | None:
    """Where the lab's site is: what the stack gives out, or else a load balancer's address, before an `up` has ended; None without."""
    given = outputs.read(session.engine_home, PROJECT, session.recorded_stack() or "")
    address, url = given.get("public_address"), given.get("url")
    if isinstance(address, str) and isinstance(url, str) and (name := urlsplit(url).hostname):
        return SiteEndpoint(address=address, name=name)
    found = next((host.public_ip for host in hosts if host.role == "load_balancer" and host.public_ip), "")
    return SiteEndpoint(address=found, name=found) if found else None


def check_site(site: SiteEndpoint) -> SiteStatus:
    """Asks the site what an `up` asks in the end, once, for SECONDS at most."""
    answers: queue.Queue[str] = queue.Queue()
    # A thread of its own, which nobody waits for: a site that answers a byte a second would hold a limit of each single read up.
    threading.Thread(target=lambda: answers.put(_check_error(site)), daemon=True).start()
    try:
        return SiteStatus(url=site.url, error=sanitize(answers.get(timeout=TIMEOUT)))
    except queue.Empty:
        return SiteStatus(url=site.url, error=f"no whole answer within {TIMEOUT:.0f} s")


def _check_error(endpoint: SiteEndpoint) -> str:
    try:
        socket.create_connection((endpoint.address, endpoint.port), timeout=CONNECT_TIMEOUT).close()
        probe_site(endpoint)
        require_unexpired_certificate(endpoint)
    except TimeoutError:
        return f"nobody answers at {endpoint.address} port {endpoint.port}"
    except OSError as error:
        return f"{endpoint.address} port {endpoint.port}: {error.strerror or error}"
    except ProbeError as error:
        return error.reason
    except Exception as error:  # whatever a site says, the hosts are told of
        return f"{type(error).__name__}: {error}"
    return ""
