"""What can be configured: the sections (`stack.sections`) together, and the rules between their keys.

`parse` never raises anything but `ConfigurationError`, whatever it is given.
"""

import copy
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from stack.addressing import MAX_ZONES, AddressPlan
from stack.problems import UNSET, ConfigurationError, Problem
from stack.sections import (
    DatabaseSettings,
    EnvironmentSettings,
    LoadBalancerSettings,
    NetworkSettings,
    PatchingSettings,
    ReadinessSettings,
    Section,
    WebSettings,
)
from stack.setting_types import parse_cidr
from stack.suggestions import closest_match

NAMESPACE: Final = "webstack"


class Settings(BaseModel):
    """The whole configuration of a stack."""

    model_config = ConfigDict(frozen=True)

    environment: EnvironmentSettings = Field(default_factory=EnvironmentSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    load_balancer: LoadBalancerSettings = Field(default_factory=LoadBalancerSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    readiness: ReadinessSettings = Field(default_factory=ReadinessSettings)
    patching: PatchingSettings = Field(default_factory=PatchingSettings)

    @property
    def production(self) -> bool:
        """Whether what holds data is protected."""
        return self.environment.class_ == "production"


SECTIONS: Final[Mapping[str, type[Section]]] = {
    "environment": EnvironmentSettings,
    "network": NetworkSettings,
    "loadBalancer": LoadBalancerSettings,
    "web": WebSettings,
    "database": DatabaseSettings,
    "readiness": ReadinessSettings,
    "patching": PatchingSettings,
}
_FIELDS: Final = {
    "environment": "environment",
    "network": "network",
    "loadBalancer": "load_balancer",
    "web": "web",
    "database": "database",
    "readiness": "readiness",
    "patching": "patching",
}
RENAMED_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "loadBalancer": {"activity": "backendMode"},
    "database": {"patience": "semiSyncTimeout"},
}
"""Section → old key → the key of today. An old key is understood and warned of."""


def parse(raw: Mapping[str, object]) -> Settings:
    """The settings from one object per section (`network`, `web`, …). Raises ConfigurationError with every mistake."""
    settings, problems = parse_with_problems(raw)
    if problems:
        raise ConfigurationError(problems)
    return settings


def parse_with_problems(raw: Mapping[str, object]) -> tuple[Settings, list[Problem]]:
    """Like `parse`, for callers with more to check: what is sound, with defaults for what is not, and every mistake."""
    raw, _ = with_current_keys(raw)
    problems = [_unknown_key(name, value, tuple(SECTIONS), f"{NAMESPACE}:{name}") for name, value in raw.items() if name not in SECTIONS]
    sound: dict[str, Section] = {}
    for name, model in SECTIONS.items():
        if name not in raw:
            continue
        section, mistakes = _parse_section(name, model, raw[name])
        sound[_FIELDS[name]] = section
        problems += mistakes
    settings = Settings.model_validate(sound)
    return settings, problems + _cross_field_problems(settings, {problem.key for problem in problems})


def with_current_keys(raw: Mapping[str, object]) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """The sections with today's keys in place of old ones, and the pairs of full names, old and new, that were replaced.

    Where a section has both, the old one stays and is an unknown key: nobody can say which of two values is meant.
    """
    current, replaced = dict(raw), list[tuple[str, str]]()
    for section, keys in RENAMED_KEYS.items():
        given = raw.get(section)
        if isinstance(given, dict):
            content = dict(cast("dict[str, object]", given))
            for old, new in keys.items():
                if old in content and new not in content:
                    content = {new if key == old else key: value for key, value in content.items()}
                    replaced.append((f"{NAMESPACE}:{section}.{old}", f"{NAMESPACE}:{section}.{new}"))
            current[section] = content
    return current, replaced


def _parse_section(name: str, model: type[Section], section: object) -> tuple[Section, list[Problem]]:
    """One section without what is wrong in it, and what that is: one mistake must not hide another."""
    problems: list[Problem] = []
    value = copy.deepcopy(section)
    while True:
        try:
            return model.model_validate(value), problems
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
            # A list whose items are wrong counts as too short besides; that is no mistake of its own.
            places = [details["loc"] for details in mistakes]
            problems += [
                _to_problem(name, model, details)
                for details in mistakes
                if details["type"] != "too_short"
                or not any(len(place) > len(details["loc"]) for place in places if place[: len(details["loc"])] == details["loc"])
            ]
            for details in mistakes:
                value = _drop_path(value, details["loc"])


def _drop_path(value: object, path: tuple[int | str, ...]) -> object:
    """The object without the key at `path` (a list as a whole); an empty object where all of it is wrong."""
    if not path or not isinstance(value, dict):
        return {}
    content = cast("dict[object, object]", value)
    first, *rest = path
    below = content.get(first)
    if rest and isinstance(below, dict):
        content[first] = _drop_path(cast("object", below), tuple(rest))
    else:
        content.pop(first, None)
    return content


def _cross_field_problems(settings: Settings, wrong: Set[str]) -> list[Problem]:
    """Rules between keys; those that are `wrong` by themselves are not judged again."""
    found: list[Problem] = []

    def problem(key: str, value: object, rule: str, remedy: str, *, beside: Sequence[str] = ()) -> None:
        if not any(f"{NAMESPACE}:{one}" in wrong for one in (key, *beside)):
            found.append(Problem(key=f"{NAMESPACE}:{key}", value=value, rule=rule, remedy=remedy))

    environment, net, balancer, web = settings.environment, settings.network, settings.load_balancer, settings.web
    if environment.class_ == "ephemeral" and environment.expires is None:
        problem(
            "environment.expires", UNSET, "an ephemeral environment says when it may be removed", "set it, such as 2030-01-31T18:00:00Z"
        )
    if environment.class_ != "ephemeral" and environment.expires is not None:
        problem(
            "environment.expires",
            environment.expires,
            "only an ephemeral environment expires",
            "remove the key, or set class to ephemeral",
            beside=["environment.class"],
        )
    if net.zone_names and not len(net.zone_names) == len(set(net.zone_names)) == net.zones:
        problem(
            "network.zoneNames",
            net.zone_names,
            f"as many different zones as network.zones says, {net.zones}",
            "name that many, or change network.zones",
            beside=["network.zones"],
        )
    own = parse_cidr(net.cidr)
    for index, other in enumerate(net.avoid_cidrs):
        if parse_cidr(other).overlaps(own):
            problem(f"network.avoidCidrs[{index}]", other, f"no overlap with network.cidr, {own}", "choose another network.cidr")
    allowed = [parse_cidr(text) for text in balancer.allowed_cidrs]
    for index, later in enumerate(allowed):
        for earlier in allowed[:index]:
            if later.overlaps(earlier):
                problem(
                    f"loadBalancer.allowedCidrs[{index}]", str(later), f"no overlap with {earlier} before it", "keep the wider one only"
                )
                break
    if balancer.count > 1:
        problem("loadBalancer.count", balancer.count, "1: two load balancers are not there yet", "set it to 1")
    if balancer.tls.mode == "acme":
        problem("loadBalancer.tls.mode", "acme", "self-signed or secret: acme is not there yet", "set self-signed, or secret with your PEM")
    if balancer.tls.mode == "secret" and balancer.tls.secret is None:
        problem(
            "loadBalancer.tls.secret",
            UNSET,
            "mode secret needs the name of a Secrets Manager secret",
            "put chain and key as PEM into a secret and name it here",
        )
    if balancer.tls.mode != "secret" and balancer.tls.secret is not None:
        problem(
            "loadBalancer.tls.secret",
            balancer.tls.secret,
            "only mode secret has one",
            "remove the key, or set mode to secret",
            beside=["loadBalancer.tls.mode"],
        )
    if balancer.aliases and balancer.domain is None:
        problem(
            "loadBalancer.aliases",
            balancer.aliases,
            "further names need a name that their visitors are sent on to",
            "set loadBalancer.domain, or remove the key",
            beside=["loadBalancer.domain"],
        )
    if balancer.domain in balancer.aliases:
        problem("loadBalancer.aliases", balancer.domain, "names besides loadBalancer.domain", "remove it here")
    if balancer.backend_mode == "active-passive" and web.count < 2:
        problem(
            "web.count", web.count, "active-passive needs at least 2 web hosts", "set 2 or more, or loadBalancer.backendMode: active-active"
        )
    # Only where somebody chose it: an `up` that waits for less time than the default is none that cannot end well.
    if "migrate_timeout" in web.model_fields_set and web.migrate_timeout >= settings.readiness.timeout:
        rule = f"less than readiness.timeout, {settings.readiness.timeout}: `up` would give up while the migration may still run"
        problem("web.migrateTimeout", web.migrate_timeout, rule, "raise readiness.timeout, or set less", beside=["readiness.timeout"])
    room = AddressPlan(own, net.zones).max_web_hosts
    if web.count > room:
        rule = (
            f"at most {room} in network.cidr {own} with {net.zones} zones: a release has each web host twice, and AWS keeps five addresses"
        )
        more = ", or more network.zones" if net.zones < MAX_ZONES else ""
        remedy = f"set {room} or less{more}; only a new stack takes a wider network.cidr"
        problem("web.count", web.count, f"{rule} of each subnet", remedy, beside=["network.cidr", "network.zones"])
    return found


def _to_problem(section: str, model: type[Section], details: ErrorDetails) -> Problem:
    path = details["loc"]
    key = f"{NAMESPACE}:{section}" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    given: object = details["input"]
    context: Mapping[str, Any] = details.get("ctx", {})
    match details["type"]:
        case "rule":
            return Problem(key=key, value=given, rule=context["rule"], remedy=context["remedy"])
        case "extra_forbidden":
            return _unknown_key(str(path[-1]), given, _known_keys(model, path[:-1]), key)
        case "literal_error":
            return Problem(key=key, value=given, rule=f"one of {context['expected']}", remedy=_suggest(given, str(context["expected"])))
        case "greater_than_equal":
            return Problem(key=key, value=given, rule=f"at least {context['ge']}", remedy=f"set {context['ge']} or more")
        case "less_than_equal":
            return Problem(key=key, value=given, rule=f"at most {context['le']}", remedy=f"set {context['le']} or less")
        case "int_type" | "int_from_float":
            return Problem(key=key, value=given, rule="a whole number", remedy="write digits without quotes")
        case "bool_type":
            return Problem(key=key, value=given, rule="true or false", remedy="write true or false without quotes")
        case "string_type":
            return Problem(key=key, value=given, rule="text", remedy="write it in quotes")
        case "model_type" | "model_attributes_type" | "dict_type":
            return Problem(
                key=key, value=given, rule="an object with keys below it", remedy=f"known keys: {', '.join(_known_keys(model, path))}"
            )
        case "tuple_type":
            return Problem(key=key, value=given, rule="a list", remedy="write [one, two], or one item a line with a dash")
        case "too_short":
            return Problem(key=key, value=given, rule="a list with at least one item", remedy="add one, or remove the key for its default")
        case _:
            return Problem(key=key, value=given, rule=details["msg"], remedy="see docs/configuration.md")


def _unknown_key(name: str, value: object, known: tuple[str, ...], key: str) -> Problem:
    choice = closest_match(name, known, cutoff=0.5)
    remedy = f"did you mean {choice}?" if choice else f"known keys: {', '.join(known) or 'none'}"
    return Problem(key=key, value=value, rule="no such key", remedy=remedy)


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> tuple[str, ...]:
    """The known keys of the object at `path` below a model."""
    for part in path:
        for item in model.model_fields.values():
            if item.alias == part and isinstance(item.annotation, type) and issubclass(item.annotation, BaseModel):
                model = item.annotation
    return tuple(item.alias or name for name, item in model.model_fields.items())


def _suggest(unknown: object, expected: str) -> str:
    options = [option.strip().strip("'") for option in expected.replace(" or ", ", ").split(",")]
    choice = closest_match(unknown, options)
    return f"did you mean {choice}?" if choice else f"write {options[0]}, or leave the key out for its default"


def reference_rows() -> list[tuple[str, str, str]]:
    """Every key with its default and description, for docs/configuration.md and the test that keeps them the same."""
    return [row for name, model in SECTIONS.items() for row in _rows(f"{NAMESPACE}:{name}", model)]


def _rows(prefix: str, model: type[BaseModel]) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for item in model.model_fields.values():
        key = f"{prefix}.{item.alias}"
        if isinstance(item.annotation, type) and issubclass(item.annotation, BaseModel):
            rows += _rows(key, item.annotation)
            continue
        default = cast("object", item.get_default(call_default_factory=True, validated_data={}))
        rows.append((key, _format_default(default), item.description or ""))
    return rows


def _format_default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | dict):
        items = cast("tuple[object, ...]", value)
        return ", ".join(str(item) for item in items)
    return str(value)
