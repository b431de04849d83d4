"""`webstack lab reach`: what is asked, and the answer for people."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.errors import UserError

_NUMBERS = {"tcp": 6, "udp": 17}
_ICMP = 1
_PORT_PATTERN = re.compile(r"(?P<number>\d{1,5})(?:/(?P<kind>tcp|udp|proto))?")
_MAX_NUMBER = {"tcp": 65535, "udp": 65535, "proto": 255}


@dataclass(frozen=True, kw_only=True)
class PacketSpec:
    """What kind of packet is asked about."""

    protocol: int
    """IANA's number."""
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "PacketSpec":
        """`443`, `443/tcp`, `53/udp`, `icmp`, `112/proto`. Raises UserError."""
        if text == "icmp":
            return cls(protocol=_ICMP)
        form = _PORT_PATTERN.fullmatch(text)
        kind = (form["kind"] or "tcp") if form else "tcp"
        if form is None or not (0 if kind == "proto" else 1) <= int(form["number"]) <= _MAX_NUMBER[kind]:
            raise UserError(
                f"port {text!r}: give a port from 1 to 65535 (443, 443/tcp, 53/udp), `icmp`, or a protocol from 0 to 255 (112/proto)"
            )
        number = int(form["number"])
        return cls(protocol=number) if kind == "proto" else cls(protocol=_NUMBERS[kind], port=number)


def format_report(report: Mapping[str, Any]) -> Iterator[str]:
    """The answer in a few lines: what became of the packet, then what each end's groups say."""
    source, target = report["from"], report["to"]
    outcome = "passes" if report["passed"] else "does not pass"
    answered = f" ({report['answer']})" if report["passed"] else ""
    yield f"{_format_endpoint(source)} -> {_format_endpoint(target)}, {report['packet']}: {outcome}{answered}"
    yield f"  out: {_format_verdict(report['out'])}"
    yield f"  in:  {_format_verdict(report['in'])}"
    if report["blocked_by"]:
        yield f"  in the way: {report['blocked_by']}"
    elif report["passed"] != report["permitted"]:
        yield "  the packet and the rules do not agree: a change is under way, or an open connection is followed; ask again"


def _format_endpoint(endpoint: Mapping[str, str]) -> str:
    return endpoint["name"] if endpoint["name"] in ("internet", endpoint["address"]) else f"{endpoint['name']} ({endpoint['address']})"


def _format_verdict(verdict: Mapping[str, Any]) -> str:
    if not verdict["group_id"]:
        return str(verdict["reason"])
    group = f"{verdict['group_id']} ({verdict['group']})"
    return f"{verdict['rule_id']} of {group}: {verdict['reason']}" if verdict["rule_id"] else f"{group}: {verdict['reason']}"
