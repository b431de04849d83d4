"""One visitor's look at the site: by https at its public address, and by http, which leads there.

The address is connected to, whatever the name resolves to and whatever proxies the environment names: it is this stack that is asked.
"""

import contextlib
import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from stack.printable import printable

ANSWER_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
LOOK_UP_SECONDS: Final = 3.0
"""Seconds for one whole answer's head, for a connection, for the name."""
BODY_LINES: Final = 5
ENDED: Final = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED (https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/)."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the site is. `verified` where its certificate should prove its name; `restricted` where not everybody may reach it."""

    address: str
    name: str
    verified: bool = False
    restricted: bool = False
    port: int = 443
    plain_port: int = 80

    @property
    def url(self) -> str:
        """As visitors write it, with the address where that is another."""
        return f"https://{self.name}/" + (f" ({self.address})" if self.name != self.address else "")


class RefusedError(Exception):
    """One try that failed. `silent` where nobody answered at all."""

    def __init__(self, reason: str, *, detail: tuple[str, ...] = (), silent: bool = False) -> None:
        super().__init__(reason)
        self.reason = printable(reason)
        self.detail = tuple(map(printable, detail))
        self.silent = silent


def visit(place: Place) -> None:
    """One visitor's look, each request over a connection of its own. Raises RefusedError.

    `/healthz` must be answered with 200, the first page without an error of the server's, and http with a redirect to https.
    """
    for path, good in (("/healthz", range(200, 201)), ("/", range(200, 500))):
        _get(place, path, good)
    location = _get(place, "/", range(300, 400), encrypted=False)
    if not location.startswith("https://"):
        raise RefusedError("http, port 80, does not lead to https", detail=(f"Location: {location}",))


def doubt_of_certificate(place: Place) -> str:
    """Why this machine does not take the certificate for a proof of the site's name; empty where it does."""
    error, _ = _verified(place, ssl.create_default_context())
    return error.verify_message if error else ""


def require_valid(place: Place) -> None:
    """A certificate that has ended serves nobody, whoever made it: browsers do not go on. Raises RefusedError."""
    shown = _shown(place)
    if not shown:
        return  # it has answered just now
    # As its own authority, so that only its time is judged.
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(shown))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    error, _ = _verified(place, context)
    if error is not None and error.verify_code == ENDED:
        raise RefusedError("its certificate has ended: put a new one in its place (docs/runbooks.md)")


def _verified(place: Place, context: ssl.SSLContext) -> tuple[ssl.SSLCertVerificationError | None, bytes]:
    """What is wrong with the certificate by this context, and the certificate where nothing is."""
    try:
        with _connected(place, place.port) as connection, context.wrap_socket(connection, server_hostname=place.name) as secured:
            return None, secured.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError as error:
        return error, b""
    except (OSError, RefusedError):
        return None, b""


def _shown(place: Place) -> bytes:
    """The certificate as DER, whatever it proves."""
    return _verified(place, _unverified())[1]


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whether it proves its name is asked apart, and is no reason to call a site away
    return context


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


def _get(place: Place, path: str, good: range, *, encrypted: bool = True) -> str:
    """Asks for a page and gives its answer's Location. Raises RefusedError, with the beginning of the body, where the status is not good.

    The body of a good answer is not waited for: it may be a stream that never ends.
    """
    scheme, port = ("https", place.port) if encrypted else ("http", place.plain_port)
    what = f"GET {path}" if encrypted else f"GET {path} by http"
    asking = http.client.HTTPConnection("unused")  # the socket is given, so it connects nowhere
    connection = _connected(place, port)
    try:
        with _ended_in_time(connection) as late:
            try:
                asking.sock = _unverified().wrap_socket(connection, server_hostname=place.name) if encrypted else connection
                asking.request("GET", path, headers={"Host": place.name, "User-Agent": "webstack-up", "Connection": "close"})
                answer = asking.getresponse()
                if late.is_set():  # what was cut off reads as an end
                    raise TimeoutError
            except (OSError, http.client.HTTPException) as error:
                if late.is_set() or isinstance(error, TimeoutError):
                    raise RefusedError(f"{what} is not answered within {ANSWER_SECONDS:.0f} s") from error
                raise RefusedError(f"GET {path} by {scheme} ends with {type(error).__name__}: {error}") from error
            location = answer.headers.get("Location", "")
            if answer.status not in good:
                body = b""
                with contextlib.suppress(OSError, http.client.HTTPException):
                    body = answer.read1(2000)
                lines = [line.strip()[:200] for line in body.decode(errors="replace").splitlines() if line.strip()][:BODY_LINES]
                raise RefusedError(
                    f"{what} is answered with {answer.status}", detail=(*([f"Location: {location}"] * bool(location)), *lines)
                )
            return location
    finally:
        connection.close()
        asking.close()


@contextlib.contextmanager
def _ended_in_time(connection: socket.socket) -> Generator[threading.Event]:
    """Ends what goes on over the connection after ANSWER_SECONDS: a limit of each single read does not limit their sum.

    The event is set where that was so.
    """
    late = threading.Event()
    # Of the same connection: TLS takes the socket over, and leaves this one without it.
    line = connection.dup()

    def end() -> None:
        late.set()
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(ANSWER_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        line.close()


def _connected(place: Place, port: int) -> socket.socket:
    try:
        connection = socket.create_connection((place.address, port), timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise RefusedError(f"nobody answers at {place.address}, port {port}, within {CONNECT_SECONDS:.0f} s", silent=True) from error
    except OSError as error:
        raise RefusedError(f"{place.address}, port {port}: {error.strerror or error}") from error
    connection.settimeout(ANSWER_SECONDS)
    return connection
