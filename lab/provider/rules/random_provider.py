"""Rules of the random provider: everything replaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lab.provider.rules.model import TypeRules, Violation, name_set
from lab.provider.rules.validators import between

_CHARACTERS: Final = name_set("length keepers lower upper numeric number special overrideSpecial minLower minUpper minNumeric minSpecial")


def _characters(props: dict[str, Any]) -> Iterator[Violation]:
    least = sum(value for name in ("minLower", "minUpper", "minNumeric", "minSpecial") if isinstance(value := props.get(name, 0), int))
    if isinstance(props.get("length"), int) and props["length"] < least:
        yield Violation("length", f"must be at least minLower + minUpper + minNumeric + minSpecial ({least}); got {props['length']}")
    if all(props.get(name) is False for name in ("lower", "upper", "special")) and props.get("numeric", props.get("number")) is False:
        yield Violation("length", "no kind of character is left: one of lower, upper, numeric, special must be true")


RULES: Final[dict[str, TypeRules]] = {
    "random:index/randomPassword:RandomPassword": TypeRules(
        force_new=_CHARACTERS,
        checks={"length": between(1, 4096)},
        cross_check=_characters,
        local_only=_CHARACTERS,
        secret=name_set("result bcryptHash"),
    ),
    "random:index/randomString:RandomString": TypeRules(
        force_new=_CHARACTERS, checks={"length": between(1, 4096)}, cross_check=_characters, local_only=_CHARACTERS
    ),
    "random:index/randomId:RandomId": TypeRules(
        force_new=name_set("byteLength keepers prefix"),
        checks={"byteLength": between(1, 4096)},
        local_only=name_set("byteLength keepers prefix"),
    ),
    "random:index/randomPet:RandomPet": TypeRules(
        force_new=name_set("keepers length prefix separator"),
        checks={"length": between(1, 100)},
        local_only=name_set("keepers length prefix separator"),
    ),
}
