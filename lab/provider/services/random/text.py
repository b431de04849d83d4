"""The `random` package: really random, made once and kept in the state."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Handler
from lab.provider.rules.model import TypeRules, Violation
from lab.provider.rules.validators import between

_SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"


def _character_violations(props: dict[str, Any]) -> Iterator[Violation]:
    least = sum(value for name in ("minLower", "minUpper", "minNumeric", "minSpecial") if isinstance(value := props.get(name, 0), int))
    if isinstance(props.get("length"), int) and props["length"] < least:
        yield Violation("length", f"must be at least minLower + minUpper + minNumeric + minSpecial ({least}); got {props['length']}")
    if all(props.get(name) is False for name in ("lower", "upper", "special")) and props.get("numeric", props.get("number")) is False:
        yield Violation("length", "no kind of character is left: one of lower, upper, numeric, special must be true")


class _StateOnly(Handler):
    """Nothing but the state knows it: it reads as what it was, and every change replaces it."""

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        return dict(state)

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        """Everything replaces."""

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """It goes with the state."""


def random_string(properties: Mapping[str, object]) -> str:
    """A text of `length` characters that has the least numbers of each kind."""
    length = int(str(properties["length"]))
    numeric = properties.get("numeric", properties.get("number"))
    kinds = (
        (properties.get("lower"), "minLower", string.ascii_lowercase),
        (properties.get("upper"), "minUpper", string.ascii_uppercase),
        (numeric, "minNumeric", string.digits),
        (properties.get("special"), "minSpecial", str(properties.get("overrideSpecial") or _SPECIAL)),
    )
    every = "".join(letters for wanted, _, letters in kinds if wanted is not False)
    chosen = [secrets.choice(letters) for _, least, letters in kinds for _ in range(int(str(properties.get(least) or 0)))]
    chosen += [secrets.choice(every) for _ in range(length - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


_TEXT_DEFAULTS: Final[Props] = {
    **dict.fromkeys(("lower", "upper", "numeric", "number", "special"), True),
    **dict.fromkeys(("minLower", "minUpper", "minNumeric", "minSpecial"), 0),
}


class RandomPassword(_StateOnly):
    """`random.RandomPassword`: its id is "none", its result is secret."""

    label = "random password"
    rules = TypeRules(checks={"length": between(1, 4096)}, cross_check=_character_violations)

    def create(self, client: ApiClient, news: Props) -> str:
        return "none"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        return {"bcryptHash": None, **_TEXT_DEFAULTS, **state, "result": state.get("result") or random_string(state)}


class RandomString(_StateOnly):
    """`random.RandomString`: its id is its result."""

    label = "random string"
    rules = TypeRules(checks={"length": between(1, 4096)}, cross_check=_character_violations)

    def create(self, client: ApiClient, news: Props) -> str:
        return random_string(news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        return {**_TEXT_DEFAULTS, **state, "result": identifier}
