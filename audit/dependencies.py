"""The locks' packages, asked for at a service that knows their vulnerabilities: pip-audit over OSV.

https://pypi.org/project/pip-audit/, https://google.github.io/osv.dev/post-v1-query/. The modules that the Pulumi CLI may be built from
(`tools/pulumi/go.sum`) are not asked for.
"""

import json
import os
import re
import tempfile
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from audit import scanners
from audit.findings import REPOSITORY_SCOPE, Finding

PIP_AUDIT: Final = "pip-audit"

OSV: Final = "https://api.osv.dev/v1/query"

_PROXY_VARIABLES: Final = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)
"""Variables by which a user says how the internet is reached: the other scanners have no business there."""

_CONNECTION_ERROR: Final = re.compile(r"^(requests\.exceptions\.|urllib3\.exceptions\.|pip_audit\S*(ConnectionError|ServiceError))")


class UnreachableError(Exception):
    """The service does not answer: nothing is known of the packages. No fault of the repository."""


def lock_files(folder: Path) -> list[Path]:
    """Every lock of Python packages."""
    return [folder / "constraints.txt", folder / "app" / "requirements.lock", *sorted((folder / "tools").rglob("*.txt"))]


def scan(folder: Path, locks: Sequence[Path], service: str = OSV) -> list[Finding]:
    """The known vulnerabilities of what some locks in a folder pin. Raises UnreachableError and AuditError."""
    _check_service(service)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(_audit_lock, lock, lock.relative_to(folder).as_posix(), service) for lock in locks]
        return [finding for one in found for finding in one.result()]


def _check_service(service: str) -> None:
    """One question first: a service that is not there would be waited for by each lock."""
    question = json.dumps({"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "26.0"}).encode()
    request = urllib.request.Request(service, data=question, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            json.loads(answer.read())
    except (OSError, ValueError) as error:
        raise UnreachableError(f"{service}: {getattr(error, 'reason', error)}") from None


def _audit_lock(lock: Path, name: str, service: str) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="webstack-audit-") as home:
        line = [
            scanners.program("code", "pip-audit"), "--requirement", lock, "--require-hashes", "--disable-pip", "--strict",
            "--vulnerability-service", "osv", "--osv-url", service, "--format", "json", "--desc", "off", "--progress-spinner", "off",
        ]  # fmt: skip
        variables = {key: os.environ[key] for key in _PROXY_VARIABLES if key in os.environ}
        result = scanners.run(line, folder=Path(home), variables=variables)
    try:
        read: dict[str, Any] = json.loads(result.stdout)
    except ValueError:
        last = result.stderr.strip().rpartition("\n")[2]
        if _CONNECTION_ERROR.match(last):
            raise UnreachableError(f"{service}: {last}") from None
        raise scanners.scan_error("pip-audit", result) from None
    return [
        Finding(
            scanner=PIP_AUDIT,
            check=known["id"],
            stack=REPOSITORY_SCOPE,
            resource=f"{name}: {package['name']} {package['version']}",
            detail=f"{', '.join(known['aliases'])}: mended in {', '.join(known['fix_versions']) or 'no version yet'}",
        )
        for package in read["dependencies"]
        for known in package.get("vulns", [])
    ]
