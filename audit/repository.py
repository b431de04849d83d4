"""Two scanners over the repository itself: Bandit over its programs, detect-secrets over all of its text.

Bandit: https://bandit.readthedocs.io/en/latest/man/bandit.html. detect-secrets: https://github.com/Yelp/detect-secrets. Neither obeys a
comment in the code (`nosec`, `pragma: allowlist secret`): what stays stands in the reviewed file.
"""

import ast
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from audit import scanners
from audit.findings import REPOSITORY_SCOPE, AuditError, Finding

BANDIT: Final = "bandit"
SECRETS: Final = "detect-secrets"

DISABLED_DETECTORS: Final = (
    "ArtifactoryDetector", "AzureStorageKeyDetector", "CloudantDetector", "DiscordBotTokenDetector", "IPPublicDetector",
    "IbmCloudIamDetector", "IbmCosHmacDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector", "SendGridDetector",
    "SoftlayerDetector", "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
"""Detectors of keys to services that nobody here uses: half of the time is theirs, and long random texts are found without them."""

EXCLUDED_FILES: Final = ("constraints.txt", "app/requirements.lock", "tools/*.txt", "tools/pulumi/go.sum")
"""Files that hold names and hashes and nothing else, every line of which a test knows (tests/unit/test_downloads.py)."""


def list_files(folder: Path) -> list[str]:
    """The files of a clone, but for what git ignores; new ones as well. Raises AuditError where the folder is no clone."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise AuditError(f"The files of {folder} cannot be listed: the audit looks at a clone, by git ({error}).") from None
    return sorted({name for name in listed.split("\0") if name and (folder / name).is_file()})


def scan(folder: Path) -> list[Finding]:
    """What both do not like in a clone. Raises AuditError where one does not end with a result."""
    names = list_files(folder)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(scanner, folder, names) for scanner in (scan_code, scan_secrets)]
        return [finding for one in found for finding in one.result()]


def scan_code(folder: Path, names: Iterable[str]) -> list[Finding]:
    """Bandit's findings in the Python programs among some files, without the tests: those assert, and their passwords are made up."""
    programs = [name for name in names if not name.startswith("tests/") and _is_python(folder / name)]
    with tempfile.TemporaryDirectory(prefix="webstack-audit-") as scratch:
        line = [scanners.program("code", "bandit"), "--quiet", "--ignore-nosec", "--format", "json", *(folder / name for name in programs)]
        result = scanners.run(line, folder=Path(scratch))
    # It ends with 1 where it found something.
    read = _json(result.stdout) if result.returncode in (0, 1) else None
    if read is None:
        raise scanners.scan_error("Bandit", result)
    if read["errors"]:
        raise AuditError("Bandit could not read:\n" + "\n".join(f"  {one['filename']}: {one['reason']}" for one in read["errors"]))
    return [
        Finding(
            scanner=BANDIT,
            check=f"{one['test_id']}:{one['test_name']}",
            stack=REPOSITORY_SCOPE,
            resource=_function_resource(folder, Path(one["filename"]).relative_to(folder), one["line_number"]),
            severity=one["issue_severity"].lower(),
            detail=f"line {one['line_number']}: {one['issue_text']}",
        )
        for one in read["results"]
    ]


def scan_secrets(folder: Path, names: Sequence[str]) -> list[Finding]:
    """What may be a secret in some files: by its kind, its file and the beginning of its hash. The secret itself is not told."""
    options = [word for detector in DISABLED_DETECTORS for word in ("--disable-plugin", detector)]
    options += ["--no-verify", "--disable-filter", "detect_secrets.filters.allowlist.is_line_allowlisted"]
    with tempfile.TemporaryDirectory(prefix="webstack-audit-") as home:
        texts = [name for name in names if not any(fnmatchcase(name, lock) for lock in EXCLUDED_FILES)]
        line = [scanners.program("code", "detect-secrets"), "-c", str(os.cpu_count()), "scan", *options, *texts]
        result = scanners.run(line, folder=folder, variables={"HOME": home})  # it looks at nothing outside of the folder that it runs in
    read = _json(result.stdout)
    if result.returncode != 0 or read is None:
        raise scanners.scan_error("detect-secrets", result)
    return [
        Finding(
            scanner=SECRETS,
            check=one["type"],
            stack=REPOSITORY_SCOPE,
            resource=f"{name} {one['hashed_secret'][:8]}",
            detail=f"line {one['line_number']}",
        )
        for name, found in read["results"].items()
        for one in found
    ]


def _json(text: str) -> dict[str, Any] | None:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _is_python(path: Path) -> bool:
    if path.suffix:
        return path.suffix == ".py"
    with path.open("rb") as file:
        first = file.readline(200)
    return first.startswith(b"#!") and b"python" in first


def _function_resource(folder: Path, path: Path, line: int) -> str:
    """`FILE:FUNCTION`, of a line of a file in that folder."""
    return f"{path.as_posix()}:{_enclosing_function(folder / path, line)}"


def _enclosing_function(path: Path, line: int) -> str:
    """The function that a line is in, which stays where lines move; `module` outside of all."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return max(functions, key=lambda node: node.lineno).name if functions else "module"
