"""The last question of an `up`: whether the site answers its visitors, asked as one of them, by https at its public address.

The address is connected to, whatever the name resolves to and whatever proxies the environment names: it is this stack that is asked.
"""

import asyncio
import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pulumi

from stack.addressing import EVERYWHERE
from stack.environment import Environment
from stack.readiness import Clock

PATIENCE: Final = 30.0
"""Seconds until a site that does not answer is called so: right after a load balancer's start the address takes some to arrive."""
PAUSE: Final = 1.0
ANSWER_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
LOOK_UP_SECONDS: Final = 3.0
"""Seconds for one answer, for a connection, for the name."""
BODY_LINES: Final = 5

ANSWERS: Final = "the site answers: "
NOT_ASKED: Final = "the site was not asked: "
UNREACHED: Final = "the site could not be asked from here: "
"""What the sentence begins with that ends the question."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the site is. `verified` where its certificate should prove its name; `restricted` where not everybody may reach it."""

    address: str
    name: str
    verified: bool = False
    restricted: bool = False
    port: int = 443

    @property
    def url(self) -> str:
        """As visitors write it, with the address where that is another."""
        return f"https://{self.name}/" + (f" ({self.address})" if self.name != self.address else "")


class RefusedError(Exception):
    """One try that failed. `silent` where nobody answered at all."""

    def __init__(self, reason: str, *, detail: tuple[str, ...] = (), silent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.silent = silent


class SiteError(pulumi.RunError):
    """The site does not answer its visitors; nothing that serves has been deleted."""

    def __init__(self, place: Place, seconds: float, refusal: RefusedError) -> None:
        lines = [f"{place.url} does not serve after {seconds:.0f} s: {refusal.reason}", *(f"    {line}" for line in refusal.detail)]
        hint = (
            "Nothing was deleted. Where this machine cannot reach the site, `readiness.site: false` leaves the question out. "
            "Who asks what: docs/checks.md"
        )
        super().__init__("\n".join([*lines, "", hint]))


@dataclass(frozen=True, kw_only=True)
class Site:
    """The question of one `up`. `not_asked` says why it is not put, and is empty where it is."""

    not_asked: str = ""
    building: bool = True
    clock: Clock = field(default_factory=Clock)
    look_up: Callable[[str], "list[str] | None"] = field(default_factory=lambda: addresses_of)

    async def ask(self, place: Place) -> None:
        """Asks until the site answers. Raises SiteError where it does not within PATIENCE; says how it ended."""
        if not self.building:
            return
        if self.not_asked:
            pulumi.log.info(f"{NOT_ASKED}{self.not_asked}")
            return
        if place.name != place.address:
            self._warn_of_the_name(place, await asyncio.to_thread(self.look_up, place.name))
        began, told = self.clock.now(), ""
        while True:
            try:
                await asyncio.to_thread(visit, place)
            except RefusedError as refusal:
                waited = self.clock.now() - began
                if waited >= PATIENCE:
                    if refusal.silent and place.restricted:
                        pulumi.log.warn(
                            f"{UNREACHED}{refusal.reason}. loadBalancer.allowedCidrs may not hold this machine; that it serves is the load "
                            "balancers' word"
                        )
                        return
                    raise SiteError(place, waited, refusal) from refusal
                if refusal.reason != told:
                    told = refusal.reason
                    pulumi.log.info(f"{place.url}: {told}")
                await self.clock.sleep(PAUSE)
            else:
                break
        if place.verified and (doubt := await asyncio.to_thread(doubt_of_certificate, place)):
            pulumi.log.warn(f"{place.url}: its certificate does not prove that name to this machine: {doubt}")
        pulumi.log.info(f"{ANSWERS}{place.url}")

    def _warn_of_the_name(self, place: Place, found: "list[str] | None") -> None:
        if found and place.address in found:
            return
        how = "could not be looked up" if found is None else f"leads to {', '.join(found)}" if found else "is not known to DNS"
        pulumi.log.warn(f"{place.name} {how}, and the site is at {place.address}: make an A record {place.name} → {place.address}")


def of(environment: Environment, *, building: bool) -> Site:
    """The question of this `up`."""
    chosen = environment.settings.readiness
    reason = (
        "readiness.wait is false, nobody waits for hosts either"
        if not chosen.wait
        else "readiness.site is false"
        if not chosen.site
        else ""
    )
    return Site(not_asked=reason, building=building)


def place(environment: Environment, address: str) -> Place:
    """Where the environment's site is; `address` is the Elastic IP's."""
    chosen = environment.settings.load_balancer
    return Place(
        address=address,
        name=environment.site_host(address),
        verified=chosen.tls.mode == "secret",
        restricted=EVERYWHERE not in chosen.allowed_cidrs,
    )


def visit(place: Place) -> None:
    """One visitor's look: `/healthz` must be answered with 200, the first page without an error of the server's. Raises RefusedError."""
    for path, good in (("/healthz", range(200, 201)), ("/", range(200, 500))):
        status, location, body = _get(place, path)
        if status not in good:
            lines = [line.strip()[:200] for line in body.splitlines() if line.strip()][:BODY_LINES]
            raise RefusedError(f"GET {path} is answered with {status}", detail=(*([f"Location: {location}"] * bool(location)), *lines))


def doubt_of_certificate(place: Place) -> str:
    """Why this machine does not take the certificate for a proof of the site's name; empty where it does."""
    try:
        with _connected(place) as connection, ssl.create_default_context().wrap_socket(connection, server_hostname=place.name):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, RefusedError):
        return ""  # it has answered just now


def addresses_of(name: str) -> "list[str] | None":
    """The IPv4 addresses that a name leads to; None where nobody says within LOOK_UP_SECONDS."""
    answers: queue.Queue[list[str] | None] = queue.Queue()

    def look() -> None:
        try:
            answers.put(sorted({str(found[4][0]) for found in socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)}))
        except socket.gaierror as error:
            answers.put([] if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else None)
        except (OSError, UnicodeError):
            answers.put(None)

    # A thread of its own: a resolver may take far longer, and nothing is to wait for it at the program's end.
    threading.Thread(target=look, daemon=True).start()
    try:
        return answers.get(timeout=LOOK_UP_SECONDS)
    except queue.Empty:
        return None


def _get(place: Place, path: str) -> tuple[int, str, str]:
    """Status, Location and the beginning of the body."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whether it proves its name is asked apart, and is no reason to call a site away
    asking = http.client.HTTPConnection("unused")  # the socket is given, so it connects nowhere
    connection = _connected(place)
    try:
        asking.sock = context.wrap_socket(connection, server_hostname=place.name)
        headers = {"Host": place.name, "User-Agent": "webstack-up", "Connection": "close"}
        asking.request("GET", path, headers=headers)
        answer = asking.getresponse()
        return answer.status, answer.headers.get("Location", ""), answer.read(2000).decode(errors="replace")
    except TimeoutError as error:
        raise RefusedError(f"GET {path} is not answered within {ANSWER_SECONDS:.0f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise RefusedError(f"GET {path} by https ends with {type(error).__name__}: {error}") from error
    finally:
        connection.close()
        asking.close()


def _connected(place: Place) -> socket.socket:
    try:
        connection = socket.create_connection((place.address, place.port), timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise RefusedError(f"nobody answers at {place.address}, port {place.port}, within {CONNECT_SECONDS:.0f} s", silent=True) from error
    except OSError as error:
        raise RefusedError(f"{place.address}, port {place.port}: {error.strerror or error}") from error
    connection.settimeout(ANSWER_SECONDS)
    return connection
