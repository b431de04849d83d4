"""Reads from a call's body what its flat parameters do not contain. Raises `UnknownCallError` if the body cannot be read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from xml.etree import ElementTree

from lab.cloud.calls import Call
from lab.cloud.iam.permission import UnknownCallError


def json_body(call: Call) -> Mapping[str, Any]:
    """Returns the object in a JSON body; empty for a call in another protocol."""
    if "X-Amz-Target" not in call.http.headers:
        return {}
    try:
        content: Any = json.loads(call.http.body or b"{}")
    except ValueError as error:
        raise UnknownCallError(call) from error
    if not isinstance(content, dict):
        raise UnknownCallError(call)
    return cast("dict[str, Any]", content)


def json_tags(call: Call) -> dict[str, str]:
    """Returns the tags in a JSON body: an object (`tags`) or a list of keys and values (`Tags`)."""
    body = json_body(call)
    given: Any = body.get("tags") or body.get("Tags") or {}
    try:
        if isinstance(given, Mapping):
            return {str(key): str(value) for key, value in cast("Mapping[str, Any]", given).items()}
        return {str(tag["Key"]): str(tag.get("Value", "")) for tag in cast("Sequence[Mapping[str, Any]]", given)}
    except (KeyError, TypeError, AttributeError) as error:
        raise UnknownCallError(call) from error


def xml_body(call: Call) -> ElementTree.Element:
    """Returns the root element of a REST call's body."""
    try:
        return ElementTree.fromstring(call.http.body)  # noqa: S314 - expat limits what entities may grow to, and no entity is fetched
    except ElementTree.ParseError as error:
        raise UnknownCallError(call) from error


def element_texts(element: ElementTree.Element, name: str) -> list[str]:
    """Returns the texts of all descendants with this name, in any namespace."""
    return [(one.text or "").strip() for one in element.iter() if one.tag.rpartition("}")[2] == name]


def descendants(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Returns all descendants with this name, in any namespace."""
    return [one for one in element.iter() if one.tag.rpartition("}")[2] == name]
