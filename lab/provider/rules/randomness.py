"""Rules of the random provider: everything replaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lab.provider.rules.model import Problem, TypeRules, names
from lab.provider.rules.validators import between

_CHARACTERS: Final = names("length keepers lower upper numeric number special overrideSpecial minLower minUpper minNumeric minSpecial")


def _characters(props: dict[str, Any]) -> Iterator[Problem]:
    least = sum(value for name in ("minLower", "minUpper", "minNumeric", "minSpecial") if isinstance(value := props.get(name, 0), int))
    if isinstance(props.get("length"), int) and props["length"] < least:
        yield Problem("length", f"must be at least minLower + minUpper + minNumeric + minSpecial ({least}); got {props['length']}")
    if all(props.get(name) is False for name in ("lower", "upper", "special")) and props.get("numeric", props.get("number")) is False:
        yield Problem("length", "no kind of character is left: one of lower, upper, numeric, special must be true")


RULES: Final[dict[str, TypeRules]] = {
    "random:index/randomPassword:RandomPassword": TypeRules(
        force_new=_CHARACTERS, checks={"length": between(1, 4096)}, whole=_characters, own=_CHARACTERS, secret=names("result bcryptHash")
    ),
    "random:index/randomString:RandomString": TypeRules(
        force_new=_CHARACTERS, checks={"length": between(1, 4096)}, whole=_characters, own=_CHARACTERS
    ),
    "random:index/randomId:RandomId": TypeRules(
        force_new=names("byteLength keepers prefix"), checks={"byteLength": between(1, 4096)}, own=names("byteLength keepers prefix")
    ),
    "random:index/randomPet:RandomPet": TypeRules(
        force_new=names("keepers length prefix separator"), checks={"length": between(1, 100)}, own=names("keepers length prefix separator")
    ),
}
