"""Prowler over an applied stack: its findings, and the checks that it could not make.

Its command line: https://docs.prowler.com/user-guide/cli/tutorials/misc (and `prowler aws --help` of the version in the lock).
"""

import ast
import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from audit import scanners
from audit.account import REGION, Account
from audit.findings import ACCOUNT, AuditError, Finding

SCANNER: Final = "prowler"
COULD_NOT_RUN: Final = "could-not-run:"

SERVICES: Final[dict[str, tuple[str, ...]]] = {
    "cloudwatch": ("cloudwatch",),
    "ebs": ("ec2",),
    "ec2": ("ec2", "vpc"),
    "iam": ("iam",),
    "route53": ("route53",),
    "s3": ("s3",),
    "secretsmanager": ("secretsmanager",),
    "vpc": ("ec2", "vpc"),
}
"""Which of Prowler's services judge what the program makes, by the module of the resource's type (`aws:ec2/…`)."""

EXCLUDED_CHECKS: Final = ("ec2_elastic_ip_shodan",)
"""Checks that ask a service on the internet about our addresses."""

_LOG_ERROR: Final = re.compile(
    r'"filename": "(?P<file>[^":]+):(?P<line>\d+)", "level": "(?P<level>ERROR|CRITICAL)".*?"message": "(?P<text>.*)'
)


def services(types: Iterable[str]) -> list[str]:
    """Prowler's services for a stack's resource types. Raises AuditError for a type that nobody said who judges it."""
    found: set[str] = set()
    for kind in types:
        package, _, rest = kind.partition(":")
        module = rest.partition("/")[0]
        if package != "aws":
            continue
        if module not in SERVICES:
            raise AuditError(
                f"The stack has a resource of type {kind}: say in audit/prowler.py (SERVICES) which of Prowler's services judge it."
            )
        found.update(SERVICES[module])
    return sorted(found)


def scan(account: Account, service_names: list[str]) -> list[Finding]:
    """What Prowler does not like in an account, and what it could not look at. Raises AuditError where it does not end with a result."""
    program = scanners.program("prowler", "prowler")
    with tempfile.TemporaryDirectory(prefix="webstack-audit-") as name:
        folder = Path(name)
        command: list[str | Path] = [
            program, "aws", "--region", REGION, "--service", *service_names, "--excluded-check", *EXCLUDED_CHECKS,
            "--output-formats", "json-ocsf", "--output-directory", folder, "--output-filename", "result",
            "--log-level", "ERROR", "--log-file", folder / "log", "--no-banner", "--no-color",
            "--ignore-exit-code-3",  # that there are findings is no failure of the scan
            "--aws-retries-max-attempts", "0",  # a call that moto does not know fails the second time too
        ]  # fmt: skip
        variables = {
            "AWS_ENDPOINT_URL": account.endpoint,
            "AWS_ACCESS_KEY_ID": "audit",
            "AWS_SECRET_ACCESS_KEY": "audit",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        result = scanners.run(command, folder=folder, variables=variables)
        found = folder / "result.ocsf.json"
        if result.returncode != 0 or not found.exists():
            raise scanners.scan_error("Prowler", result)
        log = (folder / "log").read_text() if (folder / "log").exists() else ""
        return [*_findings(account, json.loads(found.read_text())), *_failed_checks(account.stack, log, program)]


def _findings(account: Account, records: list[dict[str, Any]]) -> list[Finding]:
    found: list[Finding] = []
    for record in records:
        if record["status_code"] == "PASS":
            continue
        resource = record["resources"][0]
        found.append(
            Finding(
                scanner=SCANNER,
                check=record["metadata"]["event_code"],
                stack=account.stack,
                resource=account.stable_name(resource["uid"], resource["name"]),
                severity=record["severity"].lower(),
                detail=record["status_detail"],
            )
        )
    return found


def _failed_checks(stack: str, log: str, program: Path) -> list[Finding]:
    """What Prowler logged as an error, by the function of Prowler that it happened in: once each, however often it happened."""
    found: dict[str, Finding] = {}
    for line in log.splitlines():
        match = _LOG_ERROR.search(line)
        if match is None:
            continue
        where = _function(program, match["file"], int(match["line"]))
        check = f"{COULD_NOT_RUN}{where}"
        found.setdefault(check, Finding(scanner=SCANNER, check=check, stack=stack, resource=ACCOUNT, detail=match["text"].rstrip('"}')))
    return list(found.values())


def _function(program: Path, file: str, line: int) -> str:
    """`ec2_service._describe_images`, of a file's name and line in Prowler: a line moves with each version."""
    module = Path(file).stem
    for path in program.parents[1].rglob(f"site-packages/prowler/**/{file}"):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        around = [node for node in functions if node.lineno <= line <= (node.end_lineno or node.lineno)]
        if around:
            return f"{module}.{max(around, key=lambda node: node.lineno).name}"
    return module
