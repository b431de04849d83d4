"""Installs Session Manager's agent, which Debian's image lacks, from AWS's bucket of this region, and verifies AWS's signature.

https://docs.aws.amazon.com/systems-manager/latest/userguide/agent-install-deb.html,
https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html
"""

import base64
import sys
import tempfile
import urllib.request
from pathlib import Path

from webstack_host import config, packages
from webstack_host.run import CommandError, run

KEY = Path("/usr/local/share/webstack/amazon-ssm-agent.asc")
"""AWS's signing key for the agent; userdata/signing_keys.py has its fingerprint and expiry."""


class SignatureError(RuntimeError):
    """The package's signature is missing or is not AWS's."""


def install() -> None:
    """Installs the agent's newest release unless one is installed.

    Raises OSError if it cannot be downloaded, SignatureError if it is not signed by AWS, and CommandError if apt cannot install it.
    """
    region = config.load_common().region
    url = f"https://s3.{region}.amazonaws.com/amazon-ssm-{region}/latest/debian_amd64/amazon-ssm-agent.deb"
    with tempfile.TemporaryDirectory() as folder:
        package, signature = Path(folder, "amazon-ssm-agent.deb"), Path(folder, "amazon-ssm-agent.deb.sig")
        _fetch(url, package)
        _fetch(f"{url}.sig", signature)
        verify(package, signature, KEY)
        run([packages.AWAIT_APT, "apt-get", "install", "--yes", package], timeout=600)


def verify(package: Path, signature: Path, key: Path) -> None:
    """Raises SignatureError unless `signature` is the key's signature of `package`.

    Uses gpgv, as the agent's own set-up does (aws/amazon-ssm-agent, verificationmanagers/linuxmanager_unix.go). Debian's sqv rejects this
    key, because the signature that binds it to its name uses SHA-1.
    """
    keyring = package.with_name("keyring.gpg")
    keyring.write_bytes(_without_armour(key.read_text()))
    try:
        run(["gpgv", "--keyring", keyring, signature, package])
    except CommandError as error:
        raise SignatureError(f"it is not signed by the key in {key}, and not installed: {error}") from error


def _without_armour(text: str) -> bytes:
    """Returns the key in binary form for gpgv: without the armor of RFC 4880, section 6.2, its headers and checksum."""
    _, _, body = text.strip().partition("\n\n")
    return base64.b64decode("".join(line for line in body.splitlines() if not line.startswith(("=", "-"))), validate=True)


def _fetch(url: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            target.write_bytes(answer.read())
    except OSError as error:
        raise OSError(f"{url} is not to be had now: {error}") from error


def main() -> int:
    """Installs the agent. Errors that the timer's next attempt may fix are not failures: a missing shell should not fail the unit."""
    try:
        install()
    except SignatureError as error:
        print(f"Session Manager's agent: {error}", file=sys.stderr)
        return 1
    except (OSError, CommandError) as error:
        print(f"Session Manager's agent is not installed: {error}", file=sys.stderr)
    return 0
