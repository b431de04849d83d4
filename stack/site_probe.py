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

from stack.sanitize import sanitize

RESPONSE_TIMEOUT: Final = 10.0
CONNECT_TIMEOUT: Final = 5.0
DNS_TIMEOUT: Final = 3.0
"""Seconds for one whole answer's head, for a connection, for the name."""
MAX_BODY_LINES: Final = 5
CERT_HAS_EXPIRED: Final = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED (https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/)."""


@dataclass(frozen=True, kw_only=True)
class SiteEndpoint:
    """Where the site is. `trusted_certificate`: its certificate should prove its name; `restricted`: not everybody may reach it."""

    address: str
    name: str
    trusted_certificate: bool = False
    restricted: bool = False
    port: int = 443
    http_port: int = 80

    @property
    def url(self) -> str:
        """As visitors write it, with the address where that is another."""
        return f"https://{self.name}/" + (f" ({self.address})" if self.name != self.address else "")


class ProbeError(Exception):
    """One try that failed. `unreachable` where nobody answered at all."""

    def __init__(self, reason: str, *, detail: tuple[str, ...] = (), silent: bool = False) -> None:
        super().__init__(reason)
        self.reason = sanitize(reason)
        self.detail = tuple(map(sanitize, detail))
        self.unreachable = silent


def probe_site(endpoint: SiteEndpoint) -> None:
    """One visitor's look, each request over a connection of its own. Raises ProbeError.

    `/healthz` must be answered with 200, the first page without an error of the server's, and http with a redirect to https.
    """
    for path, good in (("/healthz", range(200, 201)), ("/", range(200, 500))):
        _get(endpoint, path, good)
    location = _get(endpoint, "/", range(300, 400), encrypted=False)
    if not location.startswith("https://"):
        raise ProbeError("http, port 80, does not lead to https", detail=(f"Location: {location}",))


def certificate_error(endpoint: SiteEndpoint) -> str:
    """Why this machine does not take the certificate for a proof of the site's name; empty where it does."""
    error, _ = _tls_handshake(endpoint, ssl.create_default_context())
    return error.verify_message if error else ""


def require_unexpired_certificate(endpoint: SiteEndpoint) -> None:
    """A certificate that has ended serves nobody, whoever made it: browsers do not go on. Raises ProbeError."""
    shown = _peer_certificate(endpoint)
    if not shown:
        return  # it has answered just now
    # As its own authority, so that only its time is judged.
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(shown))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    error, _ = _tls_handshake(endpoint, context)
    if error is not None and error.verify_code == CERT_HAS_EXPIRED:
        raise ProbeError("its certificate has ended: put a new one in its place (docs/runbooks.md)")


def _tls_handshake(endpoint: SiteEndpoint, context: ssl.SSLContext) -> tuple[ssl.SSLCertVerificationError | None, bytes]:
    """What is wrong with the certificate by this context, and the certificate where nothing is."""
    try:
        with _connect(endpoint, endpoint.port) as connection, context.wrap_socket(connection, server_hostname=endpoint.name) as secured:
            return None, secured.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError as error:
        return error, b""
    except (OSError, ProbeError):
        return None, b""


def _peer_certificate(endpoint: SiteEndpoint) -> bytes:
    """The certificate as DER, whatever it proves."""
    return _tls_handshake(endpoint, _unverified_context())[1]


def _unverified_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whether it proves its name is asked apart, and is no reason to call a site away
    return context


def resolve_ipv4(name: str) -> "list[str] | None":
    """The IPv4 addresses that a name leads to; None where nobody says within DNS_TIMEOUT."""
    answers: queue.Queue[list[str] | None] = queue.Queue()

    def resolve() -> None:
        try:
            answers.put(sorted({str(found[4][0]) for found in socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)}))
        except socket.gaierror as error:
            answers.put([] if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else None)
        except (OSError, UnicodeError):
            answers.put(None)

    # A thread of its own: a resolver may take far longer, and nothing is to wait for it at the program's end.
    threading.Thread(target=resolve, daemon=True).start()
    try:
        return answers.get(timeout=DNS_TIMEOUT)
    except queue.Empty:
        return None


def _get(endpoint: SiteEndpoint, path: str, expected: range, *, encrypted: bool = True) -> str:
    """Asks for a page and gives its answer's Location. Raises ProbeError, with the beginning of the body, where the status is not good.

    The body of a good answer is not waited for: it may be a stream that never ends.
    """
    scheme, port = ("https", endpoint.port) if encrypted else ("http", endpoint.http_port)
    what = f"GET {path}" if encrypted else f"GET {path} by http"
    asking = http.client.HTTPConnection("unused")  # the socket is given, so it connects nowhere
    connection = _connect(endpoint, port)
    try:
        with _deadline(connection) as late:
            try:
                asking.sock = _unverified_context().wrap_socket(connection, server_hostname=endpoint.name) if encrypted else connection
                asking.request("GET", path, headers={"Host": endpoint.name, "User-Agent": "webstack-up", "Connection": "close"})
                answer = asking.getresponse()
                if late.is_set():  # what was cut off reads as an end
                    raise TimeoutError
            except (OSError, http.client.HTTPException) as error:
                if late.is_set() or isinstance(error, TimeoutError):
                    raise ProbeError(f"{what} is not answered within {RESPONSE_TIMEOUT:.0f} s") from error
                raise ProbeError(f"GET {path} by {scheme} ends with {type(error).__name__}: {error}") from error
            location = answer.headers.get("Location", "")
            if answer.status not in expected:
                body = b""
                with contextlib.suppress(OSError, http.client.HTTPException):
                    body = answer.read1(2000)
                lines = [line.strip()[:200] for line in body.decode(errors="replace").splitlines() if line.strip()][:MAX_BODY_LINES]
                raise ProbeError(f"{what} is answered with {answer.status}", detail=(*([f"Location: {location}"] * bool(location)), *lines))
            return location
    finally:
        connection.close()
        asking.close()


@contextlib.contextmanager
def _deadline(connection: socket.socket) -> Generator[threading.Event]:
    """Ends what goes on over the connection after RESPONSE_TIMEOUT: a limit of each single read does not limit their sum.

    The event is set where that was so.
    """
    late = threading.Event()
    # Of the same connection: TLS takes the socket over, and leaves this one without it.
    line = connection.dup()

    def end() -> None:
        late.set()
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(RESPONSE_TIMEOUT, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        line.close()


def _connect(endpoint: SiteEndpoint, port: int) -> socket.socket:
    try:
        connection = socket.create_connection((endpoint.address, port), timeout=CONNECT_TIMEOUT)
    except TimeoutError as error:
        raise ProbeError(f"nobody answers at {endpoint.address}, port {port}, within {CONNECT_TIMEOUT:.0f} s", silent=True) from error
    except OSError as error:
        raise ProbeError(f"{endpoint.address}, port {port}: {error.strerror or error}") from error
    connection.settimeout(RESPONSE_TIMEOUT)
    return connection
