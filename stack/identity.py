"""What each tier's hosts may do: one role and instance profile per tier, each with the least that its programs need.

`policy_document` is the table; the component makes IAM resources of it.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws
from webstack_host.variables import Role

from stack.component import Component
from stack.environment import Environment
from stack.naming import SECRETS_CHANGED_KEY, configuration_key
from stack.network import Network
from stack.roles import SPECS
from stack.roles.spec import CALLER_USER_ID, PolicyInputs, RoleSpec, Statement, allow

SESSION_MANAGER_STATEMENT: Final[Statement] = {
    # AmazonSSMManagedInstanceCore without its right to read every parameter of the account.
    "Sid": "SessionManager",
    "Effect": "Allow",
    "Action": [
        "ec2messages:AcknowledgeMessage",
        "ec2messages:DeleteMessage",
        "ec2messages:FailMessage",
        "ec2messages:GetEndpoint",
        "ec2messages:GetMessages",
        "ec2messages:SendReply",
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ],
    "Resource": "*",
}


def policy_document(spec: RoleSpec, inputs: PolicyInputs) -> str:
    """The policy of a role's hosts, as JSON."""
    statements = [SESSION_MANAGER_STATEMENT, *_common_statements(spec.name, inputs), *spec.policy_statements(inputs)]
    if inputs.configuration_keys:
        statements.append(allow("Configuration", ["s3:GetObject"], [f"{inputs.bucket_arn}/{key}" for key in inputs.configuration_keys]))
    readable = [*inputs.secret_arns, *inputs.user_secret_arns]
    if readable:
        statements.append(allow("Secrets", ["secretsmanager:GetSecretValue"], sorted(readable)))
    if inputs.secret_arns and spec.follows_rotations:
        # Which version bears which label, for a rotation: no value, and cheaper than one where nothing changed.
        statements.append(allow("Rotation", ["secretsmanager:DescribeSecret"], sorted(inputs.secret_arns)))
        statements.append(allow("SecretsChanged", ["s3:GetObject"], [f"{inputs.bucket_arn}/{SECRETS_CHANGED_KEY}"]))
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _common_statements(role: Role, inputs: PolicyInputs) -> list[Statement]:
    bucket, tier = inputs.bucket_arn, f"hosts/{inputs.role_id}*"  # ids are of one length, so none is another's beginning
    # A host reboots only while all others of its tier say that they serve.
    listing = allow("TierListing", ["s3:ListBucket"], [bucket])
    listing["Condition"] = {"StringLike": {"s3:prefix": tier}}
    return [
        allow("RoleBundle", ["s3:GetObject"], [f"{bucket}/roles/{role}/*"]),
        allow("OwnReadiness", ["s3:PutObject"], [f"{bucket}/hosts/{CALLER_USER_ID}.json"]),
        allow("TierReadiness", ["s3:GetObject"], [f"{bucket}/{tier}"]),
        listing,
    ]


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """What the rights name.

    `secret_arns` holds the ARNs that each role reads, `elastic_ip_arn` is the Elastic IP's.
    """

    environment: Environment
    bucket_arn: pulumi.Input[str]
    secret_arns: dict[Role, list[pulumi.Output[str]]]
    elastic_ip_arn: pulumi.Input[str]
    network: Network
    stack_id: pulumi.Output[str]


class Identity(Component):
    """The roles and profiles of all tiers."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        environment = args.environment
        self.roles: dict[Role, aws.iam.Role] = {}
        self.profiles: dict[Role, aws.iam.InstanceProfile] = {}
        self._policies: dict[Role, list[pulumi.Resource]] = {}
        for spec in SPECS:
            role, resource = spec.name, environment.resource_name(spec.component)
            tags = environment.tags("identity", resource)
            self.roles[role] = aws.iam.Role(
                resource,
                description=f"{spec.component} hosts of {environment.name}",
                assume_role_policy=_EC2_TRUST_POLICY,
                permissions_boundary=environment.settings.environment.permissions_boundary,
                tags=tags,
                opts=self.child(),
            )
            policy = aws.iam.RolePolicy(
                resource, role=self.roles[role].name, policy=self._policy_document(spec, args, self.roles[role]), opts=self.child()
            )
            self.profiles[role] = aws.iam.InstanceProfile(resource, role=self.roles[role].name, tags=tags, opts=self.child())
            self._policies[role] = [policy]
        self.register_outputs({})

    def boot_dependencies(self, role: Role) -> list[pulumi.Resource]:
        """What must exist before a host of that role boots: its rights."""
        return list(self._policies[role])

    def _policy_document(self, spec: RoleSpec, args: IdentityArgs, made: aws.iam.Role) -> pulumi.Output[str]:
        environment = args.environment

        def document(values: list[Any]) -> str:
            bucket, address, own_arn, role_id, stack_id, subnets, *secrets = values
            account = str(own_arn).split(":")[4]
            # Secrets Manager ends the ARN of a named secret with a dash and six characters.
            named = f"arn:{environment.partition}:secretsmanager:{environment.region}:{account}:secret:{{}}-??????"
            hosts = spec.host_names(environment.settings) if spec.is_fixed else ()
            inputs = PolicyInputs(
                bucket_arn=bucket,
                role_id=role_id,
                secret_arns=tuple(secrets),
                elastic_ip_arn=address,
                subnet_arns=tuple(subnets),
                stack_id=stack_id,
                user_secret_arns=tuple(named.format(secret) for secret in spec.user_secrets(environment.settings)),
                configuration_keys=tuple(configuration_key(host) for host in hosts),
            )
            return policy_document(spec, inputs)

        # Of a zone more no subnet is known yet: a policy that names none is not to look changed in a preview.
        subnets = pulumi.Output.all(*(args.network.subnet_arns(spec.subnet) if spec.subnets_in_policy else ()))
        own = (made.arn, made.unique_id, args.stack_id)
        return pulumi.Output.all(args.bucket_arn, args.elastic_ip_arn, *own, subnets, *args.secret_arns[spec.name]).apply(document)


_EC2_TRUST_POLICY: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
