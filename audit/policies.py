"""Two scanners over every policy of an account.

Parliament is the linter: is each policy well formed, does each action exist, do resources and condition keys fit the action. Cloudsplaining
says what could be done with an identity's rights: more rights, others' data, resources laid open.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Final

from audit import scanners
from audit.account import Account, Document, Policy
from audit.findings import AuditError, Finding

PARLIAMENT: Final = "parliament"
CLOUDSPLAINING: Final = "cloudsplaining"

RISKS: Final = (
    "PrivilegeEscalation", "DataExfiltration", "ResourceExposure", "ServiceWildcard", "CredentialsExposure", "InfrastructureModification",
)  # fmt: skip
"""What cloudsplaining looks for in each policy, as its result names it."""


def scan(account: Account) -> list[Finding]:
    """What both do not like. Raises AuditError where one does not end with a result."""
    return [*lint(account.policies(), account.stack), *_risks(account)]


def lint(policies: list[Policy], stack: str) -> list[Finding]:
    """Parliament's findings in these policies. Raises AuditError."""
    program = scanners.program("light", "parliament")
    with tempfile.TemporaryDirectory(prefix="webstack-audit-") as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        for number, policy in enumerate(policies):
            (folder / "policies" / f"{number}.json").write_text(json.dumps(_with_resource(policy)))
        command = [program, "--directory", "policies", "--json", "--include-community-auditors"]
        result = scanners.run(command, folder=folder, variables={"PYTHONWARNINGS": "ignore"})
        # It ends with 1 where it found something.
        if result.returncode not in (0, 1) or result.stderr.strip():
            raise scanners.scan_error("Parliament", result)
    found: list[Finding] = []
    for record in (json.loads(line) for line in result.stdout.splitlines() if line.strip()):
        policy = policies[int(Path(record["location"]["filepath"]).stem)]
        detail = record["detail"] or record["location"].get("string") or ""
        found.append(
            Finding(
                scanner=PARLIAMENT,
                check=record["issue"],
                stack=stack,
                resource=f"{policy.kind} policy of {policy.owner}",
                severity=record["severity"].lower(),
                detail=f"{record['title']}: {detail if isinstance(detail, str) else json.dumps(detail)}",
            )
        )
    return found


def _with_resource(policy: Policy) -> Document:
    """A trust policy names no resource, its role being the one; Parliament takes it for an identity's and would look no further."""
    if policy.kind != "trust":
        return policy.document
    statements: Any = policy.document["Statement"]
    statements = [statements] if isinstance(statements, dict) else statements
    role = "arn:aws:iam::123456789012:role/itself"
    return {**policy.document, "Statement": [{**statement, "Resource": role} for statement in statements]}


def _risks(account: Account) -> list[Finding]:
    program = scanners.program("light", "cloudsplaining")
    with tempfile.TemporaryDirectory(prefix="webstack-audit-") as name:
        folder = Path(name)
        (folder / "account.json").write_text(json.dumps(account.authorization))
        result = scanners.run([program, "scan", "--input-file", "account.json", "--output", folder, "--skip-open-report"], folder=folder)
        written = folder / "iam-findings-account.json"
        if result.returncode != 0 or not written.exists():
            raise scanners.scan_error("Cloudsplaining", result)
        read: Document = json.loads(written.read_text())
    found: list[Finding] = []
    for policy in [*read["inline_policies"].values(), *read["customer_managed_policies"].values()]:
        if missing := [risk for risk in RISKS if risk not in policy]:
            raise AuditError(
                f"Cloudsplaining's result has no {', '.join(missing)}: its form has changed, and audit/policies.py must follow."
            )
        holders = [account.stable_name(one) for one in [one for kind in policy["AttachedTo"].values() for one in kind]]
        found += [
            Finding(
                scanner=CLOUDSPLAINING,
                check=risk,
                stack=account.stack,
                resource=f"identity policy of {', '.join(holders) or account.stable_name(policy['PolicyName'])}",
                severity=str(policy[risk]["severity"]),
                detail=", ".join(str(one) for one in policy[risk]["findings"]),
            )
            for risk in RISKS
            if policy[risk]["findings"]
        ]
    return found
