"""The `random` package: really random, made once and kept in the state."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Mapping
from typing import Final

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.services.base import Handler

_SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
_ADVERBS: Final = (
    "briefly",
    "calmly",
    "fairly",
    "gladly",
    "kindly",
    "lately",
    "mildly",
    "neatly",
    "openly",
    "partly",
    "safely",
    "simply",
    "surely",
    "truly",
    "warmly",
    "widely",
)
_ADJECTIVES: Final = (
    "able",
    "bold",
    "brave",
    "brisk",
    "calm",
    "clear",
    "eager",
    "fair",
    "fine",
    "glad",
    "keen",
    "kind",
    "quick",
    "quiet",
    "solid",
    "stout",
    "swift",
    "warm",
    "wise",
    "young",
)
_ANIMALS: Final = (
    "adder",
    "ant",
    "bear",
    "bee",
    "bison",
    "cod",
    "crane",
    "crow",
    "deer",
    "dove",
    "duck",
    "eel",
    "elk",
    "emu",
    "finch",
    "fox",
    "frog",
    "goat",
    "gnu",
    "hare",
    "hawk",
    "hen",
    "ibex",
)


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

    resource_type = "random:index/randomPassword:RandomPassword"
    label = "random password"

    def create(self, client: ApiClient, news: Props) -> str:
        return "none"

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        return {"bcryptHash": None, **_TEXT_DEFAULTS, **state, "result": state.get("result") or random_string(state)}


class RandomString(_StateOnly):
    """`random.RandomString`: its id is its result."""

    resource_type = "random:index/randomString:RandomString"
    label = "random string"

    def create(self, client: ApiClient, news: Props) -> str:
        return random_string(news)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        return {**_TEXT_DEFAULTS, **state, "result": identifier}


class RandomId(_StateOnly):
    """`random.RandomId`: its id is the bytes in URL-safe base64 without padding."""

    resource_type = "random:index/randomId:RandomId"
    label = "random id"

    def create(self, client: ApiClient, news: Props) -> str:
        return base64.urlsafe_b64encode(secrets.token_bytes(news["byteLength"])).rstrip(b"=").decode()

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        data = base64.urlsafe_b64decode(identifier + "=" * (-len(identifier) % 4))
        prefix = str(state.get("prefix") or "")
        return {
            **state,
            "byteLength": len(data),
            "b64Url": prefix + identifier,
            "b64Std": prefix + base64.b64encode(data).decode(),
            "hex": prefix + data.hex(),
            "dec": prefix + str(int.from_bytes(data)),
        }


class RandomPet(_StateOnly):
    """`random.RandomPet`: its id is the name."""

    resource_type = "random:index/randomPet:RandomPet"
    label = "random pet"

    def create(self, client: ApiClient, news: Props) -> str:
        words = [secrets.choice(_ANIMALS)]
        length = int(news.get("length") or 2)
        if length > 1:
            words.insert(0, secrets.choice(_ADJECTIVES))
        words = [secrets.choice(_ADVERBS) for _ in range(length - 2)] + words
        prefix = [str(news["prefix"])] if news.get("prefix") else []
        return str(news.get("separator") or "-").join(prefix + words)

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        return {"length": 2, "separator": "-", **state}
