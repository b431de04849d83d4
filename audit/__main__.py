"""`python -m audit`: scans the applied stacks and holds what is found against the reviewed file. Status 1 where something is new."""

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import Final

from rich.table import Table

from audit import reviewed
from audit.applied import applied, scan
from audit.findings import Finding
from audit.reviewed import Entry, Judgement
from lab.engine.workspace import stack_names
from lab.errors import LabError
from lab.paths import REPOSITORY
from ops.failures import INTERRUPTED
from ops.terminal import Terminal

ABOUT: Final = {
    "stack": "accepted",
    "account": "the account's, not the stack's",
    "emulator": "not so on AWS, or not to be seen here",
}


def main() -> int:
    """Audits what was asked for; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m audit",
        description="Applies the stacks to an emulated AWS without hosts, scans them, and holds each finding against audit/reviewed.yaml.",
    )
    known = stack_names(REPOSITORY)
    parser.add_argument("stacks", metavar="STACK", nargs="*", help=f"which stacks ({', '.join(known)}); all without it")
    parser.add_argument("--json", action="store_true", help="print all findings as JSON")
    options = parser.parse_args()
    wanted: list[str] = options.stacks or known
    if unknown := [stack for stack in wanted if stack not in known]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    told = Terminal(stderr=True)
    try:
        entries = reviewed.load()
        findings: list[Finding] = []
        for name in wanted:
            told.print(f"audit: {name} is applied and scanned", style="dim")
            with applied(name, told) as stack:
                findings += scan(stack)
        judgement = reviewed.judge(findings, entries, whole=set(wanted) == set(known))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if options.json:
        print(as_json(judgement))
    else:
        show(judgement, Terminal())
    return 0 if judgement.good else 1


def as_json(judgement: Judgement) -> str:
    """All findings with what the reviewed file says of them, and what it says in vain."""
    findings = [
        {**asdict(one.finding), "about": one.entry.about if one.entry else "new", "reason": one.entry.reason if one.entry else ""}
        for one in judgement.judged
    ]
    return json.dumps({"findings": findings, "in_vain": list(judgement.in_vain), "good": judgement.good}, indent=2)


def show(judgement: Judgement, console: Terminal) -> None:
    """Prints for people: the known findings by reason, then what is new and what the reviewed file says in vain."""
    counts: Counter[Entry] = Counter(one.entry for one in judgement.judged if one.entry is not None)
    for about, title in ABOUT.items():
        table = Table(title=f"{title[0].upper()}{title[1:]}", title_justify="left", show_lines=False, expand=False)
        for column in ("findings", "scanner", "checks", "reason"):
            table.add_column(column, overflow="fold", justify="right" if column == "findings" else "left")
        for entry, count in counts.items():
            if entry.about == about:
                table.add_row(str(count), entry.scanner, "\n".join(entry.checks), entry.reason.strip())
        if table.row_count:
            console.print(table)
    for one in judgement.new:
        text = f"NEW  {one.stack}: {one.scanner} {one.check} ({one.severity or '-'}) {one.resource}\n     {one.detail}"
        console.print(text, style="bold red")
    for text in judgement.in_vain:
        console.print(f"IN VAIN  {text}", style="bold red")
    known = sum(counts.values())
    console.print(f"audit: {len(judgement.new)} new, {known} known, {len(judgement.in_vain)} entries of audit/reviewed.yaml in vain")


if __name__ == "__main__":
    sys.exit(main())
