"""Rules of single values, each a function that returns None or the sentence of what is wrong."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from typing import Any, cast

from lab.provider.rules.model import Validator


def one_of(*allowed: object) -> Validator:
    """One of an enumeration."""

    def check(value: Any) -> str | None:
        return None if value in allowed else f"expected one of {', '.join(str(item) for item in allowed)}; got {value!r}"

    return check


def between(low: float, high: float, *also: float) -> Validator:
    """A number of a range, both ends included, or one of the exceptions."""

    def check(value: Any) -> str | None:
        return None if low <= value <= high or value in also else f"expected a number from {low} to {high}{_or(also)}; got {value}"

    return check


def _or(also: tuple[float, ...]) -> str:
    return "".join(f" or {item}" for item in also)


def length(low: int, high: int) -> Validator:
    """A text of so many characters."""

    def check(value: Any) -> str | None:
        return None if low <= len(value) <= high else f"expected {low} to {high} characters, got {len(value)}"

    return check


def matches(pattern: str, meaning: str) -> Validator:
    """A text that the whole pattern fits."""
    compiled = re.compile(pattern)

    def check(value: Any) -> str | None:
        return None if compiled.fullmatch(value) else f"expected {meaning}; got {value!r}"

    return check


def all_of(*checks: Validator) -> Validator:
    """All of the rules; the first that is broken speaks."""

    def check(value: Any) -> str | None:
        return next((rule for rule in (each(value) for each in checks) if rule is not None), None)

    return check


def cidr4(value: Any) -> str | None:
    """An IPv4 network in its canonical form: no host bits."""
    try:
        network = ipaddress.IPv4Network(value, strict=False)
    except ValueError as error:
        return f"expected an IPv4 network such as 10.0.0.0/16: {error}"
    return None if str(network) == value else f'"{value}" is not in canonical form: did you mean "{network}"?'


def cidr6(value: Any) -> str | None:
    """An IPv6 network in its canonical form."""
    try:
        network = ipaddress.IPv6Network(value, strict=False)
    except ValueError as error:
        return f"expected an IPv6 network: {error}"
    return None if str(network) == value else f'"{value}" is not in canonical form: did you mean "{network}"?'


def prefix_between(low: int, high: int) -> Validator:
    """An IPv4 network whose prefix has a length of the range."""

    def check(value: Any) -> str | None:
        prefix = ipaddress.IPv4Network(value).prefixlen
        return None if low <= prefix <= high else f"expected a prefix length from /{low} to /{high}; got /{prefix}"

    return all_of(cidr4, check)


def ip4(value: Any) -> str | None:
    """An IPv4 address."""
    try:
        ipaddress.IPv4Address(value)
    except ValueError as error:
        return f"expected an IPv4 address: {error}"
    return None


def arn(value: Any) -> str | None:
    """An Amazon resource name."""
    return matches(
        r"arn:[\w-]+:[a-zA-Z0-9-]+:[\w-]*:(\d{12}|aws|aws-managed)?:.+", "an ARN (arn:partition:service:region:account:resource)"
    )(value)


def base64_text(value: Any) -> str | None:
    """Base64 that decodes."""
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "expected base64"
    return None


def document(value: Any) -> str | None:
    """A JSON object, as text or as the object."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            return f"contains an invalid JSON document: {error}"
    return None if isinstance(value, dict) else "contains an invalid JSON policy: expected an object"


def policy(max_length: int, *, principal: bool | None = None) -> Validator:
    """An IAM policy document of at most so many characters (spaces not counted).

    principal: True where every statement must name one (trust and resource policies), False where none may (identity policies).
    """

    def check(value: Any) -> str | None:
        if (problem := document(value)) is not None:
            return problem
        body = cast("dict[str, Any]", json.loads(value) if isinstance(value, str) else value)
        if len(re.sub(r"\s", "", json.dumps(body, separators=(",", ":")))) > max_length:
            return f"expected a policy of at most {max_length} characters"
        body = {key.lower(): item for key, item in body.items()}
        statements = body.get("statement", body.get("statements"))
        if not statements:
            return "MalformedPolicyDocument: the policy has no Statement"
        for statement in cast("list[dict[str, Any]]", statements if isinstance(statements, list) else [statements]):
            keys = {key.lower() for key in statement}
            if not keys & {"action", "actions", "notaction", "notactions"}:
                return "MalformedPolicyDocument: a statement has no Action"
            has = bool(keys & {"principal", "principals", "notprincipal", "notprincipals"})
            if principal is True and not has:
                return "MalformedPolicyDocument: a statement of a resource policy needs a Principal"
            if principal is False and has:
                return "MalformedPolicyDocument: an identity policy must not name a Principal"
        return None

    return check


def tags(value: Any) -> str | None:
    """Tags as AWS takes them: at most 50, keys of 1..128 characters outside aws:, values of at most 256."""
    if len(value) > 50:
        return f"expected at most 50 tags; got {len(value)}"
    for key, item in value.items():
        if not 1 <= len(key) <= 128:
            return f"expected tag keys of 1 to 128 characters; got one of {len(key)}"
        if key.lower().startswith("aws:"):
            return f"tag keys that start with aws: are reserved; got {key!r}"
        if isinstance(item, str) and len(item) > 256:
            return f"expected tag values of at most 256 characters; {key!r} has {len(item)}"
    return None
