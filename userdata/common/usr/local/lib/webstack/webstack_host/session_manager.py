"""Session Manager's agent, which Debian's image lacks: from AWS's bucket of this region, and only as AWS has signed it.

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
"""AWS's key for the agent; which one, and until when, is in userdata/signing_keys.py."""


class SignatureError(RuntimeError):
    """What was fetched is not what AWS signed, or nobody signed it."""


def install() -> None:
    """Installs the agent's newest release; does nothing where it is here already.

    Raises OSError where it is not to be had, SignatureError where it is not AWS's, CommandError where apt could not install it.
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
    """Raises SignatureError where `signature` is not the key's for `package`.

    By gpgv, as the agent's own set-up does it (aws/amazon-ssm-agent, verificationmanagers/linuxmanager_unix.go). Debian's sqv would not
    take this key: what binds it to its name is a signature of SHA-1.
    """
    keyring = package.with_name("keyring.gpg")
    keyring.write_bytes(_without_armour(key.read_text()))
    try:
        run(["gpgv", "--keyring", keyring, signature, package])
    except CommandError as error:
        raise SignatureError(f"it is not signed by the key in {key}, and not installed: {error}") from error


def _without_armour(text: str) -> bytes:
    """The key as gpgv reads it: RFC 4880, section 6.2, without headers and checksum."""
    _, _, body = text.strip().partition("\n\n")
    return base64.b64decode("".join(line for line in body.splitlines() if not line.startswith(("=", "-"))), validate=True)


def _fetch(url: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            target.write_bytes(answer.read())
    except OSError as error:
        raise OSError(f"{url} is not to be had now: {error}") from error


def main() -> int:
    """Installs the agent. What the timer's next try may mend is no failure: a shell for operators is no reason for a failed unit."""
    try:
        install()
    except SignatureError as error:
        print(f"Session Manager's agent: {error}", file=sys.stderr)
        return 1
    except (OSError, CommandError) as error:
        print(f"Session Manager's agent is not installed: {error}", file=sys.stderr)
    return 0
