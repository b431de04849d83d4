"""What carries out a resource type or a function, and the few things that many of them share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, cast

from lab.provider.api_client import ApiClient, ApiError
from lab.provider.codec import Props
from lab.provider.rules.model import TypeRules

MANAGED_TAGS: Final = "aws:"


class Handler(ABC):
    """One resource type over the AWS API. Properties are plain: no secrets, no unknowns, camelCase names.

    It stands in its service's folder and is called as the type is in its token, by which the registry finds its facts. A class whose name
    begins with an underscore is a base of others.
    """

    label: ClassVar[str]
    """What messages call it: "EC2 VPC"."""
    rules: ClassVar[TypeRules] = TypeRules()
    """What no fact says of it: checks of values, and what the lab does not serve."""

    @abstractmethod
    def create(self, client: ApiClient, news: Props) -> str:
        """Make it and give its id; nothing may fail after it exists (that is `after_create`'s)."""

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        """What creation does once it exists; a failure here leaves it in the state, marked as not initialised."""
        del client, identifier, news

    @abstractmethod
    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        """What AWS says of it now (`tagsAll` for its tags); None where it is gone."""

    @abstractmethod
    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        """Bring the changed properties to what the news say."""

    @abstractmethod
    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """Take it away. Raises Refusal where AWS would; what is gone already is fine."""

    def computed_on_update(self, changed: frozenset[str], olds: Props) -> frozenset[str]:
        """The outputs that an update of these properties gives a new value: unknown in its preview."""
        del changed, olds
        return frozenset()

    def requires_replace(self, client: ApiClient, olds: Props, news: Props, changed: frozenset[str]) -> frozenset[str]:
        """The properties whose change replaces for a reason that only AWS knows; the others are in the type's rules."""
        del client, olds, news, changed
        return frozenset()

    def parse_import_id(self, identifier: str) -> Props:
        """The properties that an import's id stands for, where it is made of several."""
        del identifier
        return {}


class Function(ABC):
    """One function (invoke), called as its token's last part, which begins with a capital here: `getParameter` is `GetParameter`."""

    @abstractmethod
    def invoke(self, client: ApiClient, arguments: Props) -> Props:
        """The answer. Raises FunctionError where an argument is refused."""


class FunctionError(Exception):
    """A function's answer is a failure of one of its arguments."""

    def __init__(self, argument: str, reason: str) -> None:
        """argument: its wire name."""
        super().__init__(reason)
        self.argument = argument


def tag_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Tags as AWS's APIs take them."""
    return [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())]


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as properties, without AWS's own."""
    return {tag["Key"]: tag["Value"] for tag in tags or () if not tag["Key"].startswith(MANAGED_TAGS)}


def tag_specifications(kind: str, news: Props) -> list[dict[str, Any]] | None:
    """EC2's tags at creation; None where there are none."""
    tags = tag_list(news.get("tagsAll"))
    return [{"ResourceType": kind, "Tags": tags}] if tags else None


def retag(client: ApiClient, identifier: str, olds: Props, news: Props) -> None:
    """Bring an EC2 thing's tags from the old to the new ones."""
    before, after = tags_of(olds), tags_of(news)
    gone = [{"Key": key} for key in sorted(before.keys() - after.keys())]
    fresh = tag_list({key: value for key, value in after.items() if before.get(key) != value})
    if gone:
        client.call("ec2.delete_tags", Resources=[identifier], Tags=gone)
    if fresh:
        client.call("ec2.create_tags", Resources=[identifier], Tags=fresh)


def tags_of(props: Props) -> dict[str, str]:
    """All tags of a resource's properties."""
    return cast("dict[str, str]", props.get("tagsAll") or {})


def added_and_removed(olds: Props, news: Props, name: str) -> tuple[list[str], list[str]]:
    """What a list property gained and lost."""
    before, after = set(cast("list[str]", olds.get(name) or [])), set(cast("list[str]", news.get(name) or []))
    return sorted(after - before), sorted(before - after)


def to_api_params(news: Props, table: Mapping[str, str]) -> dict[str, Any]:
    """The given properties under the API's parameter names."""
    return {parameter: news[name] for name, parameter in table.items() if news.get(name) is not None}


def ignore_missing(call: Any, *codes: str) -> None:
    """Run a deletion; what is gone already, or answers with one of the codes, is fine."""
    try:
        call()
    except ApiError as refusal:
        if not (refusal.is_not_found or refusal.code in codes):
            raise


def policy_json(document: Any) -> str:
    """A policy as the API takes it."""
    return document if isinstance(document, str) else json.dumps(document)
