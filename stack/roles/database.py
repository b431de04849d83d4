"""The database hosts: MySQL with its data on volumes of their own. Names are neutral, because primary and replica may change places."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from stack.environment import Environment
from stack.roles.spec import (
    CALLER_USER_ID,
    HOST_CHECK_TIMEOUT,
    HostInputs,
    InboundFlow,
    PolicyInputs,
    RoleSpec,
    Statement,
    allow,
    database_listing,
)
from userdata.variables import HostVariables, Role

NAME: Final[Role] = "database"
MYSQL_PORT: Final = 3306
ROLE_CHECK_PORT: Final = 9200


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """One database host as others reach it: by its name in the private zone or by its fixed address."""

    host: str
    dns_name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class DatabaseVariables(HostVariables):
    """What a database host is told."""

    packages: ClassVar[tuple[str, ...]] = (
        "gpgv", "logrotate", "nftables", "openssl", "python3-boto3", "python3-pymysql", "unattended-upgrades", "xfsprogs",
    )  # fmt: skip
    role: Role = field(default=NAME, init=False)
    server_id: int
    private_address: str
    dns_name: str
    databases: tuple[DatabaseEndpoint, ...]
    """Every database host, this one included."""
    replica: bool
    """Whether there is a second database host."""
    volume_id: str
    network_cidr: str
    schema: str
    patience_seconds: int
    """How long writes wait for a lost replica before the primary goes on without it."""
    buffer_pool_mb: int


def endpoint(environment: Environment, number: int) -> DatabaseEndpoint:
    """How others reach a database host."""
    host = SPEC.host_name(number)
    return DatabaseEndpoint(
        host=host, dns_name=f"{host}.{environment.dns_zone}", address=str(SPEC.placement(environment.address_plan, number).address)
    )


def endpoints(environment: Environment) -> tuple[DatabaseEndpoint, ...]:
    """Every database host."""
    return tuple(endpoint(environment, number) for number in SPEC.numbers(environment.settings))


def make_variables(environment: Environment, number: int, inputs: HostInputs) -> DatabaseVariables:
    """What a database host is told."""
    chosen, own = environment.settings.database, endpoint(environment, number)
    return DatabaseVariables(
        **SPEC.common_variables(environment, number, inputs),
        readiness_timeout=HOST_CHECK_TIMEOUT,
        server_id=number,
        private_address=own.address,
        dns_name=own.dns_name,
        databases=endpoints(environment),
        replica=chosen.replica,
        volume_id=inputs.volume_id,
        network_cidr=environment.settings.network.cidr,
        schema=chosen.schema_name,
        patience_seconds=chosen.semi_sync_timeout,
        buffer_pool_mb=chosen.buffer_pool,
    )


def policy_statements(inputs: PolicyInputs) -> list[Statement]:
    """Who is primary and whether it is alone, and the certificates by which the hosts know each other."""
    bucket = inputs.bucket_arn
    return [
        allow("WhoIsPrimaryAndWhetherAlone", ["s3:GetObject"], [f"{bucket}/database/primary.json", f"{bucket}/database/replication.json"]),
        allow("WhetherAlone", ["s3:PutObject"], [f"{bucket}/database/replication.json"]),
        # Only where there is none: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
        allow("WhoIsPrimaryOnce", ["s3:PutObject"], [f"{bucket}/database/primary.json"])
        | {"Condition": {"Null": {"s3:if-none-match": "false"}}},
        allow("OwnCertificate", ["s3:PutObject"], [f"{bucket}/database/certificates/{CALLER_USER_ID}.pem"]),
        allow("DatabaseCertificates", ["s3:GetObject"], [f"{bucket}/database/certificates/*"]),
        database_listing(inputs),
    ]


SPEC: Final = RoleSpec(
    name=NAME,
    component="database",
    prefix="db",
    label="a database host",
    section="database",
    settings=lambda settings: settings.database,
    count=lambda settings: 2 if settings.database.replica else 1,
    subnet="data",
    fixed_offset=10,
    own_component=True,
    inbound=(
        InboundFlow(source="web", port=MYSQL_PORT, description="queries of the app"),
        InboundFlow(source="web", port=ROLE_CHECK_PORT, description="which host is primary, which is replica"),
        InboundFlow(source=NAME, port=MYSQL_PORT, description="replication and clone"),
        InboundFlow(source=NAME, port=ROLE_CHECK_PORT, description="which host is primary"),
    ),
    secrets=("database-replication", "database-clone", "app-migrator", "app-writer", "app-reader"),
    follows_rotations=True,
    variables_type=DatabaseVariables,
    make_variables=make_variables,
    policy_statements=policy_statements,
)
