"""`python -m audit`: scans the repository and the applied stacks and holds what is found against the reviewed file.

It ends with 0 where nothing is new; with 1 where something is, where the reviewed file says something in vain, or where a scanner did not
do its work; with 3 where all that was looked at is good, but no service told of the dependencies' vulnerabilities; with 130 after Ctrl-C.
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import Final

from rich.table import Table

from audit import applied_stack, baseline, dependencies, repository
from audit.baseline import AuditResult, BaselineEntry
from audit.dependencies import UnreachableError
from audit.findings import REPOSITORY_SCOPE, Finding
from lab.engine.workspace import stack_names
from lab.errors import LabError
from lab.paths import REPOSITORY
from ops.errors import EXIT_INTERRUPTED
from ops.terminal import Terminal

CATEGORY_TITLES: Final = {
    "stack": "accepted",
    "account": "the account's, not the stack's",
    "emulator": "not so on AWS, or not to be seen here",
    "repository": "accepted in the repository",
}

EXIT_LOOKUP_FAILED: Final = 3
"""Exit status where nothing is new, but nobody could be asked for the dependencies' vulnerabilities."""


def main() -> int:
    """Audits what was asked for; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m audit",
        description="Scans the repository, and the stacks as applied to an emulated AWS without hosts, and holds each finding against "
        "audit/baseline.yaml.",
        epilog="Exit status: 0 nothing new; 1 something new, something in vain, or a scanner failed; 3 nothing new, but the dependencies "
        "could not be looked up.",
    )
    categories = [REPOSITORY_SCOPE, *stack_names(REPOSITORY)]
    parser.add_argument("parts", metavar="PART", nargs="*", help=f"what to look at ({', '.join(categories)}); all without it")
    parser.add_argument("--json", action="store_true", help="print all findings as JSON")
    parser.add_argument(
        "--osv-url", metavar="URL", default=dependencies.OSV, help="who is asked for vulnerabilities (default: %(default)s)"
    )
    options = parser.parse_args()
    requested: list[str] = options.parts or categories
    if unknown := [part for part in requested if part not in categories]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(categories)}")
    console = Terminal(stderr=True)
    lookup_failure = ""
    try:
        entries = baseline.load()
        findings: list[Finding] = []
        for name in requested:
            if name == REPOSITORY_SCOPE:
                console.print("audit: the repository is scanned", style="dim")
                findings += repository.scan(REPOSITORY)
                try:
                    findings += dependencies.scan(REPOSITORY, dependencies.lock_files(REPOSITORY), options.osv_url)
                except UnreachableError as error:
                    lookup_failure = str(error)
                continue
            console.print(f"audit: {name} is applied and scanned", style="dim")
            with applied_stack.apply_stack(name, console) as stack:
                findings += applied_stack.scan(stack)
        unavailable = {dependencies.PIP_AUDIT} if lookup_failure else set[str]()
        result = baseline.classify(findings, entries, complete=set(requested) == set(categories), unavailable=unavailable)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    if options.json:
        print(as_json(result, lookup_failure))
    else:
        show(result, Terminal(), lookup_failure)
    if not result.passed:
        return 1
    return EXIT_LOOKUP_FAILED if lookup_failure else 0


def as_json(result: AuditResult, lookup_failure: str) -> str:
    """All findings with what the reviewed file says of them, what it says in vain, and why the dependencies were not looked up."""
    findings = [
        {**asdict(one.finding), "about": one.entry.category if one.entry else "new", "reason": one.entry.reason if one.entry else ""}
        for one in result.classified
    ]
    document = {"findings": findings, "in_vain": list(result.stale), "dependencies_not_looked_up": lookup_failure, "good": result.passed}
    return json.dumps(document, indent=2)


def show(result: AuditResult, console: Terminal, lookup_failure: str) -> None:
    """Prints for people: the known findings by reason, then what is new, what the reviewed file says in vain and what was not looked at."""
    counts: Counter[BaselineEntry] = Counter(one.entry for one in result.classified if one.entry is not None)
    for about, title in CATEGORY_TITLES.items():
        table = Table(title=f"{title[0].upper()}{title[1:]}", title_justify="left", show_lines=False, expand=False)
        for column in ("findings", "scanner", "checks", "reason"):
            table.add_column(column, overflow="fold", justify="right" if column == "findings" else "left")
        for entry, count in counts.items():
            if entry.category == about:
                table.add_row(str(count), entry.scanner, "\n".join(entry.checks), entry.reason.strip())
        if table.row_count:
            console.print(table)
    for one in result.new:
        text = f"NEW  {one.stack}: {one.scanner} {one.check} ({one.severity or '-'}) {one.resource}\n     {one.detail}"
        console.print(text, style="bold red")
    for text in result.stale:
        console.print(f"IN VAIN  {text}", style="bold red")
    if lookup_failure:
        text = (
            f"NOT LOOKED UP  the dependencies' vulnerabilities: no answer from {lookup_failure}\n               Nothing is known of them."
        )
        console.print(text, style="bold yellow")
    known = sum(counts.values())
    console.print(f"audit: {len(result.new)} new, {known} known, {len(result.stale)} entries of audit/baseline.yaml in vain")


if __name__ == "__main__":
    sys.exit(main())
