"""Templates of ids, ARNs and other computed texts: one form from which both a pattern to match and a value to make up derive.

`arn:aws:ec2:{region}:{account}:subnet/{id}`: a name in braces is a kind of text below, or else a property of the resource.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-central-1"

KINDS: Final[dict[str, tuple[str, Callable[[int], str]]]] = {
    "hex17": (r"[0-9a-f]{17}", lambda number: f"{number:017x}"),
    "account": (r"\d{12}", lambda _: ACCOUNT),
    "region": (r"[a-z]{2}-[a-z]+-\d", lambda _: REGION),
    "digits": (r"\d+", str),
    "letters6": (r"[0-9A-Za-z]{6}", lambda number: f"AbC{number % 1000:03d}"),
    "upper17": (r"[A-Z0-9]{17}", lambda number: f"{number:017d}"),
    "upper": (r"[A-Z0-9]+", lambda number: f"{number:014d}"),
    "uuid": (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lambda number: f"00000000-0000-4000-8000-{number:012x}"),
    "private_ipv4": (r"\d+\.\d+\.\d+\.\d+", lambda number: f"10.20.64.{number % 250 + 4}"),
    "public_ipv4": (r"\d+\.\d+\.\d+\.\d+", lambda number: f"198.51.100.{number % 250 + 1}"),
    "top_level_domain": (r"(com|net|org|co\.uk)", lambda _: "com"),
    "words": (r".+", lambda number: f"made-up-{number:07x}"),
}
"""For each kind its pattern and how a value is made up from a number."""

_BRACES: Final = re.compile(r"\{(\w+)\}")


def placeholders(template: str) -> frozenset[str]:
    """The names in braces that are no kinds: properties of the resource."""
    return frozenset(_BRACES.findall(template)) - KINDS.keys()


def matches(template: str, text: object, properties: Mapping[str, Any]) -> bool:
    """Whether a text has the form; a property that the template names must be in it with its value."""
    pattern = "".join(
        re.escape(part) if index % 2 == 0 else KINDS[part][0] if part in KINDS else re.escape(str(properties.get(part)))
        for index, part in enumerate(_BRACES.split(template))
    )
    return isinstance(text, str) and re.fullmatch(pattern, text) is not None


def example_value(template: str, number: int, properties: Mapping[str, Any]) -> str:
    """A text of the form, another for each number. Raises KeyError for a property that is not there."""
    return _BRACES.sub(lambda found: KINDS[found[1]][1](number) if found[1] in KINDS else str(properties[found[1]]), template)
