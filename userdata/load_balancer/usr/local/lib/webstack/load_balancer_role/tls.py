"""The public certificate and its key, as one PEM file for HAProxy that is only in memory: /run/webstack/tls.pem.

`self-signed`: generated on this host and kept on its disk, never in the stack's state. `secret`: the user's PEM from Secrets Manager.
"""

import hashlib
import ipaddress
import re
import ssl
import tempfile
from pathlib import Path

from webstack_host import aws, files
from webstack_host.errors import PermanentError
from webstack_host.run import run

from load_balancer_role.variables import LoadBalancerConfiguration

SERVED_FILE = Path("/run/webstack/tls.pem")
SELF_SIGNED_FILE = Path("/var/lib/webstack/tls.pem")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
VALID_DAYS = 825
"""The longest validity that Apple's clients accept for a certificate installed by the user (support.apple.com/103769)."""
RENEW_SECONDS = 30 * 24 * 3600
"""A boot within this time before the expiry makes a new certificate."""


def pem(configuration: LoadBalancerConfiguration) -> str:
    """Returns the PEM for HAProxy. Raises PermanentError if the user's secret is not a certificate with its key."""
    if configuration.tls_mode == "secret":
        text = aws.named_secret(configuration.tls_secret)
        problems = missing_parts(text)
        if problems:
            raise PermanentError(
                f"the secret {configuration.tls_secret} has no {' and no '.join(problems)}: it must hold the certificate, "
                "its chain and the unencrypted private key, in PEM"
            )
        return text if text.endswith("\n") else text + "\n"
    if not usable(SELF_SIGNED_FILE, configuration.domain):
        files.write(SELF_SIGNED_FILE, self_signed(configuration.domain), mode=0o600)
    return SELF_SIGNED_FILE.read_text()


def facts(applied: LoadBalancerConfiguration) -> dict[str, str]:
    """Returns the record's facts about the served certificate: the SHA-256 of its DER, and its secret's name."""
    try:
        found = CERTIFICATE.search(SERVED_FILE.read_text())
    except OSError:
        return {}
    if found is None:
        return {}
    named = {"tls_secret": applied.tls_secret} if applied.tls_mode == "secret" else {}
    return {"certificate": hashlib.sha256(ssl.PEM_cert_to_DER_cert(found[0])).hexdigest(), **named}


def missing_parts(pem: str) -> list[str]:
    """Returns the parts that a PEM for HAProxy lacks."""
    markers = {"certificate (BEGIN CERTIFICATE)": "-----BEGIN CERTIFICATE-----", "private key (BEGIN PRIVATE KEY)": "PRIVATE KEY-----"}
    return [name for name, marker in markers.items() if marker not in pem]


def usable(pem: Path, domain: str) -> bool:
    """Whether the file has a certificate for this name that does not expire soon."""
    if not pem.exists():
        return False
    option = "-checkip" if is_address(domain) else "-checkhost"
    lasts = run(["openssl", "x509", "-in", pem, "-noout", "-checkend", str(RENEW_SECONDS)], check=False)
    named = run(["openssl", "x509", "-in", pem, "-noout", option, domain], check=False)
    return lasts.returncode == 0 and "does match" in named.stdout


def self_signed(domain: str) -> str:
    """Makes a new ECDSA key and a certificate for a name or an address, as one PEM."""
    kind = "IP" if is_address(domain) else "DNS"
    with tempfile.TemporaryDirectory(dir="/run/webstack") as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-noenc",
                    "-days",
                    str(VALID_DAYS),
                ),
                *("-subj", f"/CN={domain}"[:67], "-addext", f"subjectAltName={kind}:{domain}"),
                *("-addext", "extendedKeyUsage=serverAuth", "-addext", "keyUsage=critical,digitalSignature"),
                *("-keyout", key, "-out", certificate),
            ]
        )
        return certificate.read_text() + key.read_text()


def is_address(domain: str) -> bool:
    """Whether the name is an IP address."""
    try:
        ipaddress.ip_address(domain)
    except ValueError:
        return False
    return True
