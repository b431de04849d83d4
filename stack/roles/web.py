"""The web hosts: Nginx and Gunicorn with the app. They are replaced, a new one before the old one leaves."""

from typing import Final

from web_role.variables import WebVariables
from webstack_host.variables import Role

from stack.environment import Environment
from stack.roles import database, load_balancer
from stack.roles.spec import HOST_CHECK_TIMEOUT, HostInputs, InboundFlow, PolicyInputs, RoleSpec, Statement, allow, database_list_statement

NAME: Final[Role] = WebVariables.role
PORT: Final = 8443

MIGRATION_ALLOWANCE = 600
"""What of `HOST_CHECK_TIMEOUT` a migration may take; the host waits longer by what it is given more."""


def make_variables(environment: Environment, number: int, inputs: HostInputs) -> WebVariables:
    """What a web host is told. Raises ValueError without the app's bundle."""
    if inputs.app_bundle is None:
        raise ValueError("a web host is told of no app")
    chosen = environment.settings.web
    return WebVariables(
        **SPEC.common_variables(environment, number, inputs),
        readiness_timeout=HOST_CHECK_TIMEOUT + max(0, chosen.migrate_timeout - MIGRATION_ALLOWANCE),
        app_bundle=inputs.app_bundle,
        app_module=chosen.module,
        load_balancer_addresses=tuple(str(load_balancer.SPEC.placement(environment.address_plan, planned).address) for planned in (1, 2)),
        databases=database.endpoints(environment),
        schema=environment.settings.database.schema_name,
        workers=chosen.workers,
        drain_seconds=chosen.drain_seconds,
        migrate_timeout=chosen.migrate_timeout,
        site_host=environment.site_host(inputs.address),
        check_path=chosen.check_path,
        ready_path=chosen.ready_path,
    )


def policy_statements(inputs: PolicyInputs) -> list[Statement]:
    """The app, and the certificates by which it knows the databases."""
    return [
        allow("AppBundle", ["s3:GetObject"], [f"{inputs.bucket_arn}/app/*"]),
        allow("DatabaseCertificates", ["s3:GetObject"], [f"{inputs.bucket_arn}/database/certificates/*"]),
        database_list_statement(inputs),
    ]


SPEC: Final = RoleSpec(
    name=NAME,
    component="web",
    prefix="web",
    label="a web host",
    section="web",
    settings=lambda settings: settings.web,
    count=lambda settings: settings.web.count,
    subnet="app",
    fixed_offset=None,
    own_component=True,
    inbound=(InboundFlow(source=load_balancer.NAME, port=PORT, description="requests and health checks"),),
    secrets=("app-migrator", "app-writer", "app-reader", "web-tls", "app-session-key"),
    follows_rotations=True,
    variables_type=WebVariables,
    make_variables=make_variables,
    policy_statements=policy_statements,
)
