"""Reads a stack's configuration from the engine and judges it whole, before any resource is registered."""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pulumi
import pulumi_aws as aws
from pulumi.runtime import config as engine_config
from webstack_host.variables import Bundle

from stack.account_check import account_problems
from stack.aws_config import AwsConfig, aws_config_problems
from stack.aws_sessions import FAIL_FAST, make_client, make_session, shared_file_problems
from stack.bundles import BundleError, app_bundle
from stack.credentials import STACK_ID_LENGTH
from stack.deployed import DeployedStack
from stack.environment import Environment
from stack.firewall import MAX_RULES, max_allowed_cidrs
from stack.key_expiry import key_expiry_problems
from stack.naming import secret_prefix
from stack.preflight import DesiredStack, preflight_problems
from stack.problems import REDACTED, UNSET, ConfigurationError, Problem
from stack.regions import known_regions, region_problem, unknown_region
from stack.roles import SPECS
from stack.roles.spec import HostInputs, RoleSpec
from stack.settings import NAMESPACE, SECTIONS, Settings, parse_with_problems, with_current_keys
from stack.zones import choose_zones
from userdata.render import RenderError, render_user_data

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_sts import STSClient

REPOSITORY: Final = Path(__file__).parent.parent
STACK_ID_OUTPUT: Final = "stack_id"
ZONES_OUTPUT: Final = "zones"
VPC_CIDR_OUTPUT: Final = "network"
ALLOWED_CIDRS_OUTPUT: Final = "allowed_networks"
HOSTS_OUTPUT: Final = "instance_ids"
"""Outputs of the stack by which its next run knows it, before anything is registered."""

ZoneLookup = Callable[[], Sequence[str]]
Preflight = Callable[[DesiredStack, DeployedStack], Sequence[Problem]]
"""Gives what AWS itself says against a configuration."""


def load() -> Environment:
    """The environment of the running stack. Raises ConfigurationError with every mistake."""
    region = pulumi.Config("aws").get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    provider_settings = _config_values("aws")
    mistakes = (
        aws_config_problems(provider_settings)
        or shared_file_problems(aws_config(""))
        or account_problems(provider_settings, lambda: caller_account(aws_config(region or "")))
    )

    def run_preflight(wanted: DesiredStack, existing: DeployedStack) -> Sequence[Problem]:
        # Read here: in the thread that asks AWS there is no stack whose settings could be read.
        return preflight_problems(wanted, existing, partial(ec2_client, aws_config(wanted.region)))

    return validate(
        stack=pulumi.get_stack(),
        raw=_config_values(),
        secret_sections=frozenset(_secret_keys()),
        region=region,
        zones=lambda: _region_zones(region or ""),
        provider_problems=mistakes,
        deployed=_deployed_stack,
        preflight=run_preflight,
    )


def aws_config(region: str) -> AwsConfig:
    """How the running stack's settings say that AWS is to be reached."""
    return AwsConfig.from_provider_config(region, _config_values("aws"))


def ec2_client(config: AwsConfig) -> "EC2Client":
    """A client for what AWS is asked before an `up`: one try and little patience, since the `up` goes on without an answer."""
    return cast("EC2Client", make_client(make_session(config), config, "ec2", overrides=FAIL_FAST))


def caller_account(config: AwsConfig) -> str:
    """The account of the credentials. Raises BotoCoreError and ClientError."""
    client: STSClient = make_client(make_session(config), config, "sts", overrides=FAIL_FAST)
    return client.get_caller_identity()["Account"]


def validate(
    *,
    stack: str,
    raw: Mapping[str, object],
    secret_sections: frozenset[str] = frozenset(),
    region: str | None,
    zones: ZoneLookup,
    provider_problems: Sequence[Problem] = (),
    deployed: Callable[[], DeployedStack] = DeployedStack,
    preflight: Preflight = lambda _wanted, _existing: (),
    repository: Path = REPOSITORY,
    today: date | None = None,
) -> Environment:
    """The environment that a configuration describes. Raises ConfigurationError with every mistake.

    `raw` holds one value per section and `secret_sections` the sections that hold a secure value; `zones` answers with the names of
    the region's availability zones that need no opt-in. `access` is what is wrong with the settings of the provider, `deployed`
    answers with what the stack is already, and `preflight` compares with that and with AWS's own answers. `today` is the day in UTC.
    """
    problems = [
        Problem(
            key=f"{NAMESPACE}:{name}",
            value=REDACTED,
            rule="no secure value: the program reads its configuration in clear",
            remedy="put the secret into Secrets Manager and its name here, without --secret",
        )
        for name in sorted(secret_sections)
    ]
    for old, new in with_current_keys(raw)[1]:
        pulumi.log.warn(f"{old} is called {new} now: rename it in the stack file; the old name will not be understood for ever")
    settings, mistakes = parse_with_problems({name: value for name, value in raw.items() if name not in secret_sections})
    problems += [*mistakes, *provider_problems]
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,22}[a-z0-9]", stack):
        problems.append(
            Problem(
                key="stack",
                value=stack,
                rule="a stack name of 2 to 24 lowercase letters, digits and hyphens: hosts' names and secrets' names are made of it",
                remedy="choose another with `pulumi stack init`",
            )
        )
    problems += app_problems(settings, repository)
    allowed, room = settings.load_balancer.allowed_cidrs, max_allowed_cidrs()
    if len(allowed) > room:
        problems.append(
            Problem(
                key=f"{NAMESPACE}:loadBalancer.allowedCidrs",
                value=f"{len(allowed)} networks",
                rule=f"at most {room} networks: each is a rule for each port, and a security group takes {MAX_RULES} in a direction",
                remedy="name wider networks instead of their parts",
            )
        )
    wrong = {problem.key for problem in problems}
    chosen: tuple[str, ...] = ()
    available: tuple[str, ...] = ()
    if not region:
        problems.append(Problem(key="aws:region", value=UNSET, rule="the AWS region", remedy="pulumi config set aws:region eu-central-1"))
    elif misnamed := region_problem(region):
        problems.append(misnamed)
    elif not provider_problems:
        there = deployed()
        if not any(key.startswith(f"{NAMESPACE}:network.zone") for key in wrong):
            available = tuple(zones())
            chosen, mistakes = choose_zones(settings, region, available, there.zones)
            problems += mistakes
            chosen = () if mistakes else chosen
        wanted = DesiredStack(
            stack=stack, settings=settings, invalid_keys=frozenset(wrong), zones=chosen, region_zones=available, region=region
        )
        problems += preflight(wanted, there)
        problems += key_expiry_problems(settings, there.hosts, today or datetime.now(UTC).date())
    if not problems:
        environment = Environment(name=stack, region=region or "", zones=chosen, settings=settings, region_zones=available)
        problems += user_data_problems(environment)
        if not problems:
            return environment
    raise ConfigurationError(problems)


def app_problems(settings: Settings, repository: Path) -> list[Problem]:
    """What is wrong with the app's folder."""
    folder, module = settings.web.app, settings.web.module.partition(":")[0].replace(".", "/")
    path = (repository / folder).resolve()
    key = f"{NAMESPACE}:web.app"
    if not path.is_dir():
        return [Problem(key=key, value=folder, rule=f"the folder of an app; there is none at {path}", remedy="write its path")]
    problems: list[Problem] = []
    if not any((path / name).is_file() for name in (f"{module}.py", f"{module}/__init__.py")):
        rule = f"a folder that holds the module of web.module, {settings.web.module}; there is no {module}.py in {path}"
        problems.append(Problem(key=key, value=folder, rule=rule, remedy="write the app's path, or its callable into web.module"))
    if not (path / "requirements.lock").is_file():
        rule = f"a folder with a requirements.lock: hosts install exactly that; there is none in {path}"
        problems.append(Problem(key=key, value=folder, rule=rule, remedy="make one with `uv pip compile`, as docs/your-app.md says"))
    if not problems:
        try:
            app_bundle(path, build=False)
        except BundleError as error:
            rule, _, remedy = str(error).partition(": ")
            problems.append(Problem(key=key, value=folder, rule=rule, remedy=remedy))
    return problems


def user_data_problems(environment: Environment) -> list[Problem]:
    """What is wrong with the hosts' user data, found with stand-ins as long as the values that only AWS can give."""
    bucket, digest = "b" * 63, "0" * 64
    prefix = secret_prefix(environment.name, "0" * STACK_ID_LENGTH)

    def inputs(spec: RoleSpec) -> HostInputs:
        return HostInputs(
            bucket=bucket,
            secret_prefix=prefix,
            role_bundle=Bundle(key=f"roles/{spec.name}/{digest}.tar.gz", sha256=digest),
            app_bundle=Bundle(key=f"app/{digest}.tar.gz", sha256=digest),
            address="255.255.255.255",
            allocation_id=f"eipalloc-{'0' * 17}",
            volume_id=f"vol-{'0' * 17}",
        )

    problems: list[Problem] = []
    for spec in SPECS:
        for number in spec.numbers(environment.settings):
            variables = spec.make_variables(environment, number, inputs(spec))
            try:
                render_user_data(variables)
            except RenderError as error:
                rule, _, remedy = str(error).partition(": ")
                problems.append(Problem(key=f"userdata/{variables.role}", value=variables.host, rule=rule, remedy=remedy))
    return problems


def _config_values(namespace: str = NAMESPACE) -> dict[str, object]:
    """Every key of a namespace; the JSON of the project's own is read."""
    everything = {**engine_config.get_config_env(), **engine_config.CONFIG.get()}
    prefix = f"{namespace}:"
    # The provider's values are texts: a token of digits is no number.
    return {
        key.removeprefix(prefix): _parse_json(value) if namespace == NAMESPACE else value
        for key, value in everything.items()
        if key.startswith(prefix)
    }


def _parse_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return cast("object", json.loads(value))
    except ValueError:
        return value


def _secret_keys() -> list[str]:
    prefix = f"{NAMESPACE}:"
    listed = set(engine_config.get_config_secret_keys_env())
    names = [name for name in [*SECTIONS, *_config_values()] if engine_config.is_config_secret(prefix + name) or prefix + name in listed]
    return sorted(set(names))


def _deployed_stack() -> DeployedStack:
    """What the last run put out, by the engine's own `readStackOutputs` (pulumi/pulumi, pkg/resource/deploy/builtins.go)."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    try:
        answer = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": name}).value
    except Exception as error:  # the SDK has no error of its own for a call that fails
        pulumi.log.debug(f"the stack's earlier outputs cannot be read: {error}")
        return DeployedStack()
    outputs = cast("dict[str, Any]", (answer or {}).get("outputs") or {})

    def texts(name: str) -> tuple[str, ...]:
        return tuple(one for one in cast("list[object]", outputs.get(name) or []) if isinstance(one, str))

    return DeployedStack(
        stack_id=outputs.get(STACK_ID_OUTPUT),
        zones=texts(ZONES_OUTPUT),
        vpc_cidr=outputs.get(VPC_CIDR_OUTPUT),
        allowed_cidrs=texts(ALLOWED_CIDRS_OUTPUT),
        hosts=frozenset(cast("dict[str, object]", outputs.get(HOSTS_OUTPUT) or {})),
    )


def _region_zones(region: str) -> Sequence[str]:
    """The first question to the provider, which is configured for it.

    Raises ConfigurationError where nobody answers for a region that may be none.
    """
    try:
        answer = aws.get_availability_zones(
            state="available", filters=[aws.GetAvailabilityZonesFilterArgs(name="opt-in-status", values=["opt-in-not-required"])]
        )
    except Exception as error:  # the SDK has no error of its own for a call that fails
        if region in known_regions():
            raise
        rule = "a region of AWS: it is none of those that botocore lists, and nobody says which zones it has"
        raise ConfigurationError([unknown_region(region, rule)]) from error
    return answer.names
