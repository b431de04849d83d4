"""What can be configured: one frozen model per object of the stack file, with every type, default and rule.

Defaults live here alone. Keys are camelCase in YAML and snake_case in Python. No key holds a secret. `parse` never raises anything but
`ConfigurationError`, whatever it is given.
"""

import copy
from collections.abc import Mapping, Sequence, Set
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from stack.addressing import MOST_ZONES, AddressPlan
from stack.nearest import nearest
from stack.problems import NOTHING, ConfigurationError, Problem
from stack.rules import (
    Ami,
    Cidr,
    Directory,
    Domain,
    InstanceType,
    Module,
    Moment,
    PagePath,
    PolicyArn,
    Schema,
    SecretName,
    Tags,
    VpcCidr,
    network,
)
from userdata.variables import Activity, Balance

NAMESPACE: Final = "webstack"

EnvironmentClass = Literal["development", "production", "ephemeral"]
Nat = Literal["single", "per-az"]


class Section(BaseModel):
    """One object of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=False)


class EnvironmentSettings(Section):
    """What kind of environment the stack is."""

    class_: EnvironmentClass = Field(
        default="development",
        alias="class",
        description="`production` protects what holds data or addresses and refuses to be destroyed; the others are destroyed to nothing",
    )
    ami: Ami | None = Field(
        default=None,
        description="the AMI of every host; without it Debian 13's newest at a host's creation, and later ones are ignored",
    )
    tags: Tags = Field(default_factory=dict, description="tags on everything, besides the stack's own")
    permissions_boundary: PolicyArn | None = Field(
        default=None, description="the ARN of the managed IAM policy that limits every role of the stack, whatever its own policy says"
    )
    expires: Moment | None = Field(default=None, description="from when an `ephemeral` stack may be removed; put into the tag `expires`")


class NetworkSettings(Section):
    """The VPC."""

    cidr: VpcCidr = Field(default="10.20.0.0/16", description="the network's addresses, /16 to /22; a stack that exists keeps them")
    zones: Annotated[StrictInt, Field(ge=2, le=MOST_ZONES)] = Field(default=2, description="how many availability zones are used, 2 to 4")
    zone_names: tuple[str, ...] = Field(
        default=(),
        description="which zones, in order; without it the region's first by name when the stack is made. What exists never moves",
    )
    nat: Nat = Field(default="single", description="one NAT gateway for all zones, or `per-az`")
    avoid_cidrs: tuple[Cidr, ...] = Field(default=(), description="networks this one is or will be joined with; it must not overlap them")
    flow_log_days: Literal[1, 3, 7, 14, 30, 60, 90, 180, 365] = Field(default=7, description="how long flow logs are kept")


class TlsSettings(Section):
    """The certificate that the load balancer shows."""

    mode: Literal["self-signed", "secret", "acme"] = Field(
        default="self-signed", description="`self-signed` (key born on the host) or `secret` (your PEM); `acme` is not there yet"
    )
    secret: SecretName | None = Field(default=None, description="the name of the Secrets Manager secret that holds chain and key as PEM")


class LoadBalancerSettings(Section):
    """HAProxy hosts."""

    count: Annotated[StrictInt, Field(ge=1)] = Field(default=1, description="how many; only 1 for now")
    instance_type: InstanceType = Field(default="t3.small", description="an x86-64 instance type of the Nitro system")
    allowed_cidrs: Annotated[tuple[Cidr, ...], Field(min_length=1)] = Field(
        default=("0.0.0.0/0",),
        description="who may reach ports 80 and 443; at most 30 networks, at a change the old and the new ones together",
    )
    tls: TlsSettings = Field(default_factory=TlsSettings, description="the certificate")
    domain: Domain | None = Field(default=None, description="the site's name; without it the Elastic IP's address")
    balance: Balance = Field(default="roundrobin", description="how requests are spread")
    activity: Activity = Field(
        default="active-active", description="`active-passive`: the last web hosts serve only when none of the first does"
    )


class WebSettings(Section):
    """Nginx and Gunicorn hosts."""

    count: Annotated[StrictInt, Field(ge=1, le=250)] = Field(
        default=2, description="how many; a network of /22 has addresses for 29 in each zone"
    )
    instance_type: InstanceType = Field(default="t3.small", description="an x86-64 instance type of the Nitro system")
    app: Directory = Field(default="app", description="the folder of the WSGI app, relative to the project's")
    module: Module = Field(default="wsgi:app", description="the WSGI callable in it")
    workers: Annotated[StrictInt, Field(ge=0, le=256)] = Field(default=0, description="Gunicorn workers; 0 is two per processor and one")
    drain_seconds: Annotated[StrictInt, Field(ge=10, le=45)] = Field(
        default=20, description="how long a stopping host is marked unhealthy before it stops serving"
    )
    migrate_timeout: Annotated[StrictInt, Field(ge=60, le=7000)] = Field(
        default=600, description="seconds after which one run of `migrate.py` is stopped; less than `readiness.timeout`"
    )
    check_path: PagePath = Field(default="/healthz", description="the app's page that load balancers' checks are answered by, with 200")
    ready_path: PagePath = Field(
        default="/readyz", description="the app's page that says whether it can serve: with 200 only where it reaches its databases"
    )


class DatabaseSettings(Section):
    """MySQL hosts."""

    instance_type: InstanceType = Field(default="t3.medium", description="an x86-64 instance type of the Nitro system")
    volume_size: Annotated[StrictInt, Field(ge=1, le=16384)] = Field(
        default=20, description="GiB of each data volume; it can grow while MySQL runs, never shrink"
    )
    replica: StrictBool = Field(default=True, description="whether there is a db-2")
    schema_name: Schema = Field(default="app", alias="schema", description="the app's schema")
    patience: Annotated[StrictInt, Field(ge=1, le=300)] = Field(
        default=5, description="seconds for which writes wait for a lost replica before the primary goes on alone"
    )
    buffer_pool: Annotated[StrictInt, Field(ge=32, le=1_000_000)] = Field(default=256, description="MiB of InnoDB's buffer pool")


class ReadinessSettings(Section):
    """The wait for hosts that really serve."""

    wait: StrictBool = Field(
        default=True,
        description="whether `up` waits (and starts a host that is stopped); without it nothing promises that no request is lost",
    )
    timeout: Annotated[StrictInt, Field(ge=30, le=7200)] = Field(default=900, description="seconds until a host must be ready")
    site: StrictBool = Field(
        default=True, description="whether `up` asks the site itself in the end; false where it runs on a machine that cannot reach it"
    )


class Settings(BaseModel):
    """The whole configuration of a stack."""

    model_config = ConfigDict(frozen=True)

    environment: EnvironmentSettings = Field(default_factory=EnvironmentSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    load_balancer: LoadBalancerSettings = Field(default_factory=LoadBalancerSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    readiness: ReadinessSettings = Field(default_factory=ReadinessSettings)

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
}
_FIELDS: Final = {
    "environment": "environment",
    "network": "network",
    "loadBalancer": "load_balancer",
    "web": "web",
    "database": "database",
    "readiness": "readiness",
}


def parse(raw: Mapping[str, object]) -> Settings:
    """The settings from one object per section (`network`, `web`, …). Raises ConfigurationError with every mistake."""
    settings, problems = check(raw)
    if problems:
        raise ConfigurationError(problems)
    return settings


def check(raw: Mapping[str, object]) -> tuple[Settings, list[Problem]]:
    """Like `parse`, for callers with more to check: what is sound, with defaults for what is not, and every mistake."""
    problems = [_unknown(name, value, tuple(SECTIONS), f"{NAMESPACE}:{name}") for name, value in raw.items() if name not in SECTIONS]
    sound: dict[str, Section] = {}
    for name, model in SECTIONS.items():
        if name not in raw:
            continue
        section, mistakes = _section(name, model, raw[name])
        sound[_FIELDS[name]] = section
        problems += mistakes
    settings = Settings.model_validate(sound)
    return settings, problems + _across(settings, {problem.key for problem in problems})


def _section(name: str, model: type[Section], given: object) -> tuple[Section, list[Problem]]:
    """One section without what is wrong in it, and what that is: one mistake must not hide another."""
    problems: list[Problem] = []
    value = copy.deepcopy(given)
    while True:
        try:
            return model.model_validate(value), problems
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
            # A list whose items are wrong counts as too short besides; that is no mistake of its own.
            places = [details["loc"] for details in mistakes]
            problems += [
                _problem(name, model, details)
                for details in mistakes
                if details["type"] != "too_short"
                or not any(len(place) > len(details["loc"]) for place in places if place[: len(details["loc"])] == details["loc"])
            ]
            for details in mistakes:
                value = _without(value, details["loc"])


def _without(value: object, path: tuple[int | str, ...]) -> object:
    """The object without the key at `path` (a list as a whole); an empty object where all of it is wrong."""
    if not path or not isinstance(value, dict):
        return {}
    content = cast("dict[object, object]", value)
    first, *rest = path
    below = content.get(first)
    if rest and isinstance(below, dict):
        content[first] = _without(cast("object", below), tuple(rest))
    else:
        content.pop(first, None)
    return content


def _across(settings: Settings, wrong: Set[str]) -> list[Problem]:
    """Rules between keys; those that are `wrong` by themselves are not judged again."""
    found: list[Problem] = []

    def problem(key: str, value: object, rule: str, remedy: str, *, beside: Sequence[str] = ()) -> None:
        if not any(f"{NAMESPACE}:{one}" in wrong for one in (key, *beside)):
            found.append(Problem(key=f"{NAMESPACE}:{key}", value=value, rule=rule, remedy=remedy))

    environment, net, balancer, web = settings.environment, settings.network, settings.load_balancer, settings.web
    if environment.class_ == "ephemeral" and environment.expires is None:
        problem(
            "environment.expires", NOTHING, "an ephemeral environment says when it may be removed", "set it, such as 2030-01-31T18:00:00Z"
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
    own = network(net.cidr)
    for index, other in enumerate(net.avoid_cidrs):
        if network(other).overlaps(own):
            problem(f"network.avoidCidrs[{index}]", other, f"no overlap with network.cidr, {own}", "choose another network.cidr")
    allowed = [network(text) for text in balancer.allowed_cidrs]
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
            NOTHING,
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
    if balancer.activity == "active-passive" and web.count < 2:
        problem(
            "web.count", web.count, "active-passive needs at least 2 web hosts", "set 2 or more, or loadBalancer.activity: active-active"
        )
    # Only where somebody chose it: an `up` that waits for less time than the default is none that cannot end well.
    if "migrate_timeout" in web.model_fields_set and web.migrate_timeout >= settings.readiness.timeout:
        rule = f"less than readiness.timeout, {settings.readiness.timeout}: `up` would give up while the migration may still run"
        problem("web.migrateTimeout", web.migrate_timeout, rule, "raise readiness.timeout, or set less", beside=["readiness.timeout"])
    room = AddressPlan(own, net.zones).most_web_hosts
    if web.count > room:
        rule = (
            f"at most {room} in network.cidr {own} with {net.zones} zones: a release has each web host twice, and AWS keeps five addresses"
        )
        more = ", or more network.zones" if net.zones < MOST_ZONES else ""
        remedy = f"set {room} or less{more}; only a new stack takes a wider network.cidr"
        problem("web.count", web.count, f"{rule} of each subnet", remedy, beside=["network.cidr", "network.zones"])
    return found


def _problem(section: str, model: type[Section], details: ErrorDetails) -> Problem:
    path = details["loc"]
    key = f"{NAMESPACE}:{section}" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    given: object = details["input"]
    context: Mapping[str, Any] = details.get("ctx", {})
    match details["type"]:
        case "rule":
            return Problem(key=key, value=given, rule=context["rule"], remedy=context["remedy"])
        case "extra_forbidden":
            return _unknown(str(path[-1]), given, _keys(model, path[:-1]), key)
        case "literal_error":
            return Problem(key=key, value=given, rule=f"one of {context['expected']}", remedy=_nearest_of(given, str(context["expected"])))
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
            return Problem(key=key, value=given, rule="an object with keys below it", remedy=f"known keys: {', '.join(_keys(model, path))}")
        case "tuple_type":
            return Problem(key=key, value=given, rule="a list", remedy="write [one, two], or one item a line with a dash")
        case "too_short":
            return Problem(key=key, value=given, rule="a list with at least one item", remedy="add one, or remove the key for its default")
        case _:
            return Problem(key=key, value=given, rule=details["msg"], remedy="see the configuration reference in the README")


def _unknown(name: str, value: object, known: tuple[str, ...], key: str) -> Problem:
    choice = nearest(name, known, cutoff=0.5)
    remedy = f"did you mean {choice}?" if choice else f"known keys: {', '.join(known) or 'none'}"
    return Problem(key=key, value=value, rule="no such key", remedy=remedy)


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> tuple[str, ...]:
    """The known keys of the object at `path` below a model."""
    for part in path:
        for item in model.model_fields.values():
            if item.alias == part and isinstance(item.annotation, type) and issubclass(item.annotation, BaseModel):
                model = item.annotation
    return tuple(item.alias or name for name, item in model.model_fields.items())


def _nearest_of(given: object, expected: str) -> str:
    options = [option.strip().strip("'") for option in expected.replace(" or ", ", ").split(",")]
    choice = nearest(given, options)
    return f"did you mean {choice}?" if choice else f"write {options[0]}, or leave the key out for its default"


def reference() -> list[tuple[str, str, str]]:
    """Every key with its default and description, for the README's reference and the test that keeps them the same."""
    return [row for name, model in SECTIONS.items() for row in _rows(f"{NAMESPACE}:{name}", model)]


def _rows(prefix: str, model: type[BaseModel]) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for item in model.model_fields.values():
        key = f"{prefix}.{item.alias}"
        if isinstance(item.annotation, type) and issubclass(item.annotation, BaseModel):
            rows += _rows(key, item.annotation)
            continue
        default = cast("object", item.get_default(call_default_factory=True, validated_data={}))
        rows.append((key, _default(default), item.description or ""))
    return rows


def _default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | dict):
        items = cast("tuple[object, ...]", value)
        return ", ".join(str(item) for item in items)
    return str(value)
