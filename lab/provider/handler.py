"""Base classes of the implementations of resource types and functions, and helpers that they share."""

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
    """Implements one resource type with the AWS API. Properties are plain: no secrets, no unknowns, camelCase names.

    The class is in its service's folder and has the name of the type in its token, by which the registry finds its facts. A class whose
    name starts with an underscore is a base class.
    """

    label: ClassVar[str]
    """The type's name in messages: "EC2 VPC"."""
    rules: ClassVar[TypeRules] = TypeRules()
    """Rules that are not in the facts: checks of values, and properties that the lab does not support."""

    @abstractmethod
    def create(self, client: ApiClient, news: Props) -> str:
        """Creates the resource and returns its id. It must not fail once the resource exists: later steps belong in `after_create`."""

    def after_create(self, client: ApiClient, identifier: str, news: Props) -> None:
        """The steps after the resource exists. A failure here leaves it in the state, marked as not initialised."""
        del client, identifier, news

    @abstractmethod
    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        """Reads the resource from AWS (its tags as `tagsAll`). Returns None if it does not exist."""

    @abstractmethod
    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        """Updates the changed properties to the values in `news`."""

    @abstractmethod
    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        """Deletes the resource. Raises ApiError if AWS would refuse. Does nothing if it does not exist."""

    def computed_on_update(self, changed: frozenset[str], olds: Props) -> frozenset[str]:
        """Returns the outputs that change when these properties are updated; they are unknown in a preview."""
        del changed, olds
        return frozenset()

    def requires_replace(self, client: ApiClient, olds: Props, news: Props, changed: frozenset[str]) -> frozenset[str]:
        """Returns the properties whose change replaces for a reason that only AWS knows; the others are in the type's rules."""
        del client, olds, news, changed
        return frozenset()

    def parse_import_id(self, identifier: str) -> Props:
        """Returns the properties contained in an import's id, if it combines several."""
        del identifier
        return {}


class Function(ABC):
    """Implements one function (invoke). Its name is the token's last part, capitalized: `getParameter` is `GetParameter`."""

    @abstractmethod
    def invoke(self, client: ApiClient, arguments: Props) -> Props:
        """Returns the result. Raises FunctionError if an argument is invalid."""


class FunctionError(Exception):
    """One of a function's arguments is invalid."""

    def __init__(self, argument: str, reason: str) -> None:
        """argument: the argument's wire name."""
        super().__init__(reason)
        self.argument = argument


def tag_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Returns tags in the form of AWS's APIs."""
    return [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())]


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Returns tags as a property value, without AWS's own."""
    return {tag["Key"]: tag["Value"] for tag in tags or () if not tag["Key"].startswith(MANAGED_TAGS)}


def tag_specifications(kind: str, news: Props) -> list[dict[str, Any]] | None:
    """Returns EC2's tag specifications for a creation; None if there are no tags."""
    tags = tag_list(news.get("tagsAll"))
    return [{"ResourceType": kind, "Tags": tags}] if tags else None


def retag(client: ApiClient, identifier: str, olds: Props, news: Props) -> None:
    """Changes an EC2 resource's tags from the old to the new ones."""
    before, after = tags_of(olds), tags_of(news)
    gone = [{"Key": key} for key in sorted(before.keys() - after.keys())]
    fresh = tag_list({key: value for key, value in after.items() if before.get(key) != value})
    if gone:
        client.call("ec2.delete_tags", Resources=[identifier], Tags=gone)
    if fresh:
        client.call("ec2.create_tags", Resources=[identifier], Tags=fresh)


def tags_of(props: Props) -> dict[str, str]:
    """Returns all tags in a resource's properties."""
    return cast("dict[str, str]", props.get("tagsAll") or {})


def added_and_removed(olds: Props, news: Props, name: str) -> tuple[list[str], list[str]]:
    """Returns the items added to and removed from a list property."""
    before, after = set(cast("list[str]", olds.get(name) or [])), set(cast("list[str]", news.get(name) or []))
    return sorted(after - before), sorted(before - after)


def to_api_params(news: Props, table: Mapping[str, str]) -> dict[str, Any]:
    """Returns the given properties under the API's parameter names."""
    return {parameter: news[name] for name, parameter in table.items() if news.get(name) is not None}


def ignore_missing(call: Any, *codes: str) -> None:
    """Runs a deletion; ignores errors that the resource does not exist or that have one of the codes."""
    try:
        call()
    except ApiError as refusal:
        if not (refusal.is_not_found or refusal.code in codes):
            raise


def policy_json(document: Any) -> str:
    """Returns a policy in the API's form."""
    return document if isinstance(document, str) else json.dumps(document)
