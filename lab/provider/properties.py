"""Completes properties around a handler: names, tags and region at Check, outputs and their secrets, inputs at Read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient
from lab.provider.codec import UNKNOWN, Props, is_secret, is_unknown, mark_secret, unwrap
from lab.provider.diff import values_equal
from lab.provider.naming import auto_name
from lab.provider.schema import Shape, nested_fields, output_names, resource_fields, rules_of

DEFAULTS_KEY: Final = "__defaults"


def complete_inputs(token: str, resource: str, client: ApiClient, news: Props, olds: Props, seed: bytes, proposed: str | None) -> Props:
    """Returns the program's inputs with what the provider adds: an automatic name, `tagsAll`, `region`.

    proposed: the name from the engine's own naming configuration. Raises ValueError if no name fits.
    """
    rules, fields = rules_of(token), resource_fields(token)
    inputs = dict(news)
    defaults: list[str] = []
    naming = rules.naming
    if naming is not None and inputs.get(naming.field) is None and inputs.get("namePrefix") is None and inputs.get("bucketPrefix") is None:
        kept = naming.field in cast("list[str]", olds.get(DEFAULTS_KEY) or [])
        inputs[naming.field] = olds[naming.field] if kept else proposed or auto_name(naming, resource, seed)
        defaults.append(naming.field)
    if "tags" in fields:
        tags = inputs.get("tags")
        merged = dict(client.default_tags) | cast("dict[str, Any]", unwrap(tags) or {}) if unwrap(tags) is not UNKNOWN else UNKNOWN
        inputs["tagsAll"] = UNKNOWN if is_unknown(merged) else merged
        if is_secret(tags):
            inputs = mark_secret(inputs, frozenset({"tagsAll"}))
        if not inputs.get("tags") and not merged:
            inputs.pop("tagsAll")
    if "region" in fields and inputs.get("region") is None:
        inputs["region"] = client.region
    inputs[DEFAULTS_KEY] = defaults
    return inputs


def secret_properties(token: str, *properties: Mapping[str, Any]) -> frozenset[str]:
    """Returns the names of the secret properties: those given as secrets, and those that always are for the type."""
    given = {name for props in properties for name, value in props.items() if is_secret(value)}
    return frozenset(given) | rules_of(token).secret


def build_outputs(token: str, client: ApiClient, live: Props, prior: Props, secret: frozenset[str]) -> Props:
    """Returns the whole state: AWS's values over the program's, and None for outputs without a value.

    It replaces the engine's state, in which an omitted output would stay unknown, so all outputs are included.
    """
    rules = rules_of(token)
    known = output_names(token)
    state: Props = dict.fromkeys(known)
    state |= {name: value for name, value in rules.defaults.items() if name in known}
    state |= {name: value for name, value in unwrap(prior).items() if value is not None and (name in known or name == DEFAULTS_KEY)}
    state |= {name: value for name, value in live.items() if name in known}
    if "tagsAll" in live:
        state["tags"] = _resource_tags(live["tagsAll"], client, unwrap(prior).get("tags"))
    if "region" in known and state.get("region") is None:
        state["region"] = client.region
    return mark_secret({name: value for name, value in state.items() if not (name in secret and value is None)}, secret)


def _resource_tags(live: dict[str, str], client: ApiClient, prior: Any) -> dict[str, str]:
    """Returns all tags without the provider's default tags, unless the resource sets them itself."""
    own = cast("dict[str, str]", prior or {})
    return {key: value for key, value in live.items() if key in own or client.default_tags.get(key) != value}


def preview_outputs(token: str, news: Props, olds: Props | None = None, recomputed: frozenset[str] = frozenset()) -> Props:
    """Returns the outputs of a preview: the inputs and, for an update, the old outputs; all others are unknown."""
    known = output_names(token)
    if olds is not None:
        return {**olds, **news, **dict.fromkeys(recomputed & known, UNKNOWN)}
    defaults = {name: value for name, value in rules_of(token).defaults.items() if name in known}
    return {**dict.fromkeys(known, UNKNOWN), **defaults, **{name: value for name, value in news.items() if value is not None}}


def refresh_inputs(token: str, state: Props, program_inputs: Props) -> Props:
    """Returns the inputs after a refresh: as given if AWS's value is the same, AWS's value after drift; for an import all from AWS."""
    live = unwrap(state)
    fields = resource_fields(token)
    if not program_inputs:
        rules = rules_of(token)
        plural = {
            name: live[name] for name in fields if live.get(name) not in (None, "", [], {}) and live[name] != rules.defaults.get(name)
        }
        plural |= {name: live[name] for name in ("tagsAll",) if live.get(name)}
        return mark_secret({**plural, DEFAULTS_KEY: []}, rules.secret & plural.keys())
    inputs: Props = {}
    for name, value in program_inputs.items():
        if name == DEFAULTS_KEY or name not in live or values_equal(token, name, live[name], value):
            inputs[name] = value
            continue
        shape = fields[name].shape if name in fields else Shape("any")
        if live[name] is not None:
            seen = _project(shape, live[name], unwrap(value))
            inputs[name] = mark_secret({name: seen}, frozenset({name}))[name] if is_secret(value) else seen
    return inputs


def _project(shape: Shape, live: Any, program_value: Any) -> Any:
    """Returns the live value with only the parts that the program gave."""
    if isinstance(live, dict) and isinstance(program_value, dict) and shape.cls is not None:
        fields = nested_fields(shape)
        now, then = cast("Props", live), cast("Props", program_value)
        return {name: _project(fields[name].shape, now[name], then[name]) for name in then if name in fields and now.get(name) is not None}
    if isinstance(live, list) and shape.kind == "list" and shape.inner[0].cls is not None:
        names = {name for item in cast("list[Any]", program_value or []) if isinstance(item, dict) for name in cast("Props", item)}
        return [{name: value for name, value in item.items() if name in names or not names} for item in cast("list[Props]", live)]
    return cast("Any", live)
