"""The database hosts: MySQL with its data on volumes of their own. Names are neutral, because primary and replica may change places."""

from typing import Final

from database_role.variables import DatabaseVariables
from webstack_host.variables import DatabaseEndpoint, Role

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
    database_list_statement,
)

NAME: Final[Role] = DatabaseVariables.role
MYSQL_PORT: Final = 3306
ROLE_CHECK_PORT: Final = 9200


def endpoint(environment: Environment, number: int) -> DatabaseEndpoint:
    """How others reach a database host."""
    return DatabaseEndpoint(host=SPEC.host_name(number), address=str(SPEC.placement(environment.address_plan, number).address))


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
        dns_name=f"{own.host}.{environment.dns_zone}",
        databases=endpoints(environment),
        has_replica=chosen.replica,
        volume_id=inputs.volume_id,
        network_cidr=environment.settings.network.cidr,
        schema=chosen.schema_name,
        semi_sync_timeout_seconds=chosen.semi_sync_timeout,
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
        database_list_statement(inputs),
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
