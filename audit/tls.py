"""A TLS server held against Mozilla's intermediate profile, by sslyze, which ships the profile.

https://wiki.mozilla.org/Security/Server_Side_TLS
"""

import re
import tempfile
from pathlib import Path
from typing import Final

from audit import scanners

_PROBLEM: Final = re.compile(r"^\s+\* (?P<rule>\w+): (?P<text>.+)$", re.MULTILINE)
_VERDICT: Final = re.compile(r"^\s+\S+:\d+: (?P<verdict>OK|FAILED) - ", re.MULTILINE)


def profile_violations(address: str, port: int = 443) -> dict[str, str]:
    """What is not as the profile wants it: sslyze's words, by its name of the rule. Raises AuditError without a verdict."""
    program = scanners.program("light", "sslyze")
    with tempfile.TemporaryDirectory(prefix="webstack-audit-") as folder:
        command = [program, "--mozilla_config", "intermediate", f"{address}:{port}"]
        result = scanners.run(command, folder=Path(folder), variables={"PYTHONWARNINGS": "ignore"})
    _, _, judged = result.stdout.partition("COMPLIANCE AGAINST TLS CONFIGURATION")
    verdict = _VERDICT.search(judged)
    found = {match["rule"]: match["text"] for match in _PROBLEM.finditer(judged)}
    if verdict is None or (verdict["verdict"] == "FAILED") != bool(found):
        raise scanners.scan_error("sslyze", result)
    return found
