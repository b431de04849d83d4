"""What is said of a role of hosts, in one place: its `RoleSpec`. Pure; no Pulumi in it.

What its hosts run is the tree of the role's name under `userdata/`; its settings are a section of `stack/sections.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypedDict

from webstack_host.variables import Bundle, HostVariables, Role

from stack.addressing import AddressPlan, Placement, Tier
from stack.environment import Environment
from stack.naming import configuration_key
from stack.patching import reboot_day, upgrade_schedule
from stack.settings import NAMESPACE, Settings

HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443
HOST_CHECK_TIMEOUT: Final = 900
"""How long a host tries until its own check passes. A constant: were it the setting `readiness.timeout`, changing that would roll hosts.
A web host has the time of a longer migration besides."""
INTERNET: Final = "internet"
"""As a peer: where connections arrive the allowed networks, where they leave everywhere."""

CALLER_USER_ID: Final = "${aws:userid}"
"""`<role's unique id>:<instance id>`: so an instance writes under its own name and no other's."""

Statement = dict[str, Any]
"""A statement of an IAM policy, as its JSON."""


class TierSettings(Protocol):
    """What the settings of every role have."""

    @property
    def instance_type(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class InboundFlow:
    """One kind of connection that arrives at a role's hosts. `source` is a role or `INTERNET`."""

    source: str
    port: int
    description: str
    protocol: str = "tcp"


@dataclass(frozen=True, kw_only=True)
class PolicyInputs:
    """The ARNs that a role's rights name."""

    bucket_arn: str
    role_id: str
    """The IAM role's own unique id: its hosts' records bear it."""
    secret_arns: tuple[str, ...] = ()
    elastic_ip_arn: str = ""
    """The Elastic IP that the active load balancer holds."""
    subnet_arns: tuple[str, ...] = ()
    """The subnets of the role's hosts, where its rights name them."""
    stack_id: str = ""
    user_secret_arns: tuple[str, ...] = ()
    """The secrets of `RoleSpec.users_secrets`."""
    configuration_keys: tuple[str, ...] = ()
    """Keys of the configuration objects of the role's hosts."""


@dataclass(frozen=True, kw_only=True)
class HostInputs:
    """What a host is told that only AWS and the bundles give. A value that the role has no use for may be left empty."""

    bucket: str
    secret_prefix: str
    role_bundle: Bundle
    app_bundle: Bundle | None = None
    address: str = ""
    """The Elastic IP."""
    allocation_id: str = ""
    """The Elastic IP's."""
    volume_id: str = ""
    """The data volume's."""


class CommonVariables(TypedDict):
    """The fields of `HostVariables` that are made alike for every role."""

    host: str
    region: str
    zone: str
    bucket: str
    role_bundle: Bundle
    secret_prefix: str
    configuration_key: str
    upgrades_at: str
    reboot_day: str


@dataclass(frozen=True, kw_only=True)
class RoleSpec:
    """A role of hosts. What iterates over `stack.roles.SPECS` asks it, and no role by its name."""

    name: Role
    """Also its tree under `userdata/` and its folder of bundles."""
    component: str
    """The value of the `component` tag, and what its group and IAM role are called after the environment."""
    prefix: str
    """`web` of `web-1`."""
    label: str
    """One host of it in a sentence: `a web host`."""
    section: str
    """Its section of the stack's settings."""
    settings: Callable[[Settings], TierSettings]
    count: Callable[[Settings], int]
    """How many hosts there are: their numbers begin with 1."""
    subnet: Tier
    fixed_offset: int | None
    """Where in its subnet the first host's fixed address is, for hosts that are changed in place. None: hosts are replaced, and AWS
    chooses their addresses."""
    own_component: bool
    """Whether `__main__.py` makes its hosts by a component of its own; else `stack.plain_hosts` does."""
    inbound: tuple[InboundFlow, ...]
    secrets: tuple[str, ...]
    """Of `stack.secret_specs.SECRET_SPECS`, those that its hosts read."""
    follows_rotations: bool
    """Whether a running host takes over another version of its secrets."""
    variables_type: type[HostVariables]
    make_variables: Callable[[Environment, int, HostInputs], HostVariables]
    """What the host of a number is told."""
    policy_statements: Callable[[PolicyInputs], list[Statement]]
    """Its rights beyond those of every host."""
    user_secrets: Callable[[Settings], tuple[str, ...]] = field(default=lambda _: ())
    """Names of secrets that the user made and the settings name, for its hosts to read."""
    subnets_in_policy: bool = False
    """Whether its rights name its hosts' subnets."""

    @property
    def is_fixed(self) -> bool:
        """Whether its hosts keep their addresses and are changed in place."""
        return self.fixed_offset is not None

    @property
    def supports_reload(self) -> bool:
        """Whether a reload applies anything on its hosts."""
        return bool(self.variables_type.reloadable() or self.variables_type.reloadable_files)

    @property
    def instance_type_key(self) -> str:
        """The setting of its instance type, in full."""
        return f"{NAMESPACE}:{self.section}.instanceType"

    def host_name(self, number: int) -> str:
        """`lb-1`, `web-3`, `db-2`."""
        return f"{self.prefix}-{number}"

    def numbers(self, settings: Settings) -> range:
        """The numbers of its hosts."""
        return range(1, self.count(settings) + 1)

    def host_names(self, settings: Settings) -> tuple[str, ...]:
        """The names of its hosts, in order."""
        return tuple(self.host_name(number) for number in self.numbers(settings))

    def placement(self, plan: AddressPlan, number: int) -> Placement:
        """Where a host with a fixed address is. Raises ValueError for a role whose hosts have none."""
        if self.fixed_offset is None:
            raise ValueError(f"{self.host_name(number)} has no fixed address")
        return plan.fixed(self.subnet, number, self.fixed_offset)

    def common_variables(self, environment: Environment, number: int, inputs: HostInputs) -> CommonVariables:
        """The variables that are made alike for every role."""
        host, patching = self.host_name(number), environment.settings.patching
        return CommonVariables(
            host=host,
            region=environment.region,
            zone=environment.dns_zone,
            bucket=inputs.bucket,
            role_bundle=inputs.role_bundle,
            secret_prefix=inputs.secret_prefix,
            configuration_key=configuration_key(host) if self.is_fixed else "",
            upgrades_at=upgrade_schedule(patching, number, second_host_first=self.is_fixed),
            reboot_day=reboot_day(patching),
        )


def allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Statement:
    """A statement that allows these actions on these resources."""
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def database_list_statement(inputs: PolicyInputs) -> Statement:
    """Lists what database hosts publish; the condition also holds where S3 asks whether a missing key may be told from a forbidden one."""
    return allow("DatabaseListing", ["s3:ListBucket"], [inputs.bucket_arn]) | {
        "Condition": {"StringLikeIfExists": {"s3:prefix": "database/*"}}
    }
