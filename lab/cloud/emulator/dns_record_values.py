"""Validates record values as Route 53 does; moto accepts any text.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html. The wording of an empty label is AWS's
(hashicorp/terraform#18482); a value's syntax is checked by dnspython, which follows the same RFCs.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

import dns.exception
import dns.rdata

_SINGLE_VALUED: Final = frozenset({"CNAME", "SOA"})
_QUOTED: Final = frozenset({"TXT", "SPF"})
_ADDRESSES: Final = {
    "A": (IPv4Address, "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"),
    "AAAA": (IPv6Address, "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"),
}
_SOA: Final = re.compile(r"\S+\s+\S+(?:\s+\d{1,10}){5}")
_QUOTED_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*')


def record_set_error(kind: str, ttl: object, values: list[str]) -> str:
    """Returns why AWS would reject a record set of that type; empty if it would not."""
    if ttl is None or not values:
        return "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none"
    if len(set(values)) != len(values):
        return f"Duplicate Resource Record: {next(value for value in values if values.count(value) > 1)!r}"
    if kind in _SINGLE_VALUED and len(values) > 1:
        return f"Number of records limit of 1 exceeded: a record set of type {kind} has exactly one value"
    return _first(
        f"Invalid Resource Record: FATAL problem: {found} encountered with {value!r}"
        for value in values
        if (found := _value_error(kind, value))
    )


def domain_name_error(name: str) -> str:
    """Returns why AWS would reject a domain name; empty if it would not."""
    labels = name.removesuffix(".").split(".")
    if not all(labels):
        return "DomainLabelEmpty (Domain label is empty)"
    if any(len(label) > 63 for label in labels):
        return "DomainLabelTooLong (Domain label is too long)"
    return "DomainTooLong (Domain is too long)" if len(name) > 255 else ""


def _value_error(kind: str, value: str) -> str:
    if kind in _ADDRESSES:
        family, refusal = _ADDRESSES[kind]
        try:
            family(value)
        except ValueError:
            return refusal
        return ""
    if kind in _QUOTED:
        return "" if _QUOTED_STRINGS.fullmatch(value) else "InvalidCharacterString (Value should be enclosed in quotation marks)"
    if empty := _first(domain_name_error(word) for word in value.split() if ".." in word or word.startswith(".")):
        return empty
    if kind == "SOA" and not _SOA.fullmatch(value):
        return "UnparseableSOA (Value is not a name server, a mailbox and the five numbers serial, refresh, retry, expire and minimum)"
    try:
        dns.rdata.from_text("IN", kind, value)
    except (dns.exception.DNSException, ValueError) as error:
        return f"Unparseable{kind} (Value is not that of a record of type {kind}: {error})"
    return ""


def _first(found: Iterable[str]) -> str:
    return next((one for one in found if one), "")


def record_values(record_set: dict[str, Any]) -> list[str]:
    """Returns the values of a record set from the API's request."""
    records: list[dict[str, str]] = record_set.get("ResourceRecords") or []
    return [record["Value"] for record in records]
