"""What each tier's hosts may do: one role and instance profile per tier, each with the least that its programs need.

`policy_document` is the table; the component makes IAM resources of it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from stack.component import Component
from stack.environment import Environment
from stack.naming import COMPONENT_OF, SECRETS_CHANGED, configuration_key
from stack.tags import STACK_ID_TAG
from userdata.variables import ROLES, Role

# `<role's unique id>:<instance id>`: so an instance writes under its own name and no other's.
OWN: Final = "${aws:userid}"

Statement = dict[str, Any]

SESSION_MANAGER: Final[Statement] = {
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


@dataclass(frozen=True, kw_only=True)
class Rights:
    """The ARNs that a tier's rights name."""

    bucket: str
    role_id: str
    """The role's own unique id: its hosts' records bear it."""
    secrets: tuple[str, ...] = ()
    address: str = ""
    """The Elastic IP that the active load balancer holds."""
    subnets: tuple[str, ...] = ()
    """The load balancers' subnets."""
    stack_id: str = ""
    tls_secret: str = ""
    configurations: tuple[str, ...] = ()
    """Keys of the configuration objects of the role's hosts."""


def policy_document(role: Role, rights: Rights) -> str:
    """The policy of a tier's role, as JSON."""
    statements = [SESSION_MANAGER, *_common(role, rights), *_own(role, rights)]
    if rights.configurations:
        statements.append(_allow("Configuration", ["s3:GetObject"], [f"{rights.bucket}/{key}" for key in rights.configurations]))
    readable = [*rights.secrets, *([rights.tls_secret] if rights.tls_secret else [])]
    if readable:
        statements.append(_allow("Secrets", ["secretsmanager:GetSecretValue"], sorted(readable)))
    if rights.secrets and role != "load_balancer":
        # Which version bears which label, for a rotation: no value, and cheaper than one where nothing changed.
        statements.append(_allow("Rotation", ["secretsmanager:DescribeSecret"], sorted(rights.secrets)))
        statements.append(_allow("SecretsChanged", ["s3:GetObject"], [f"{rights.bucket}/{SECRETS_CHANGED}"]))
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _common(role: Role, rights: Rights) -> list[Statement]:
    bucket, tier = rights.bucket, f"hosts/{rights.role_id}*"  # ids are of one length, so none is another's beginning
    # A host reboots only while all others of its tier say that they serve.
    listing = _allow("TierListing", ["s3:ListBucket"], [bucket])
    listing["Condition"] = {"StringLike": {"s3:prefix": tier}}
    return [
        _allow("RoleBundle", ["s3:GetObject"], [f"{bucket}/roles/{role}/*"]),
        _allow("OwnReadiness", ["s3:PutObject"], [f"{bucket}/hosts/{OWN}.json"]),
        _allow("TierReadiness", ["s3:GetObject"], [f"{bucket}/{tier}"]),
        listing,
    ]


def _own(role: Role, rights: Rights) -> list[Statement]:
    bucket = rights.bucket
    # Listed with a condition that also holds where S3 asks whether a missing key may be told from a forbidden one.
    listing = _allow("DatabaseListing", ["s3:ListBucket"], [bucket])
    listing["Condition"] = {"StringLikeIfExists": {"s3:prefix": "database/*"}}
    if role == "load_balancer":
        prefix = rights.address.partition(":elastic-ip/")[0]
        return [
            _allow("FindAddress", ["ec2:DescribeAddresses"], ["*"]),
            _allow("HoldAddress", ["ec2:AssociateAddress"], [rights.address]),
            # Each kind of resource that a call names must be allowed; all but the stack's load balancers are refused.
            _allow("HoldAddressByLoadBalancer", ["ec2:AssociateAddress"], [f"{prefix}:instance/*"])
            | {"Condition": {"StringEquals": {f"aws:ResourceTag/{STACK_ID_TAG}": rights.stack_id, "aws:ResourceTag/role": role}}},
            # An instance's own interface bears no tags. AWS lists the key for it and does not say that this call brings it.
            _allow("HoldAddressInSubnet", ["ec2:AssociateAddress"], [f"{prefix}:network-interface/*"])
            | {"Condition": {"ArnEqualsIfExists": {"ec2:Subnet": list(rights.subnets)}}},
        ]
    if role == "web":
        return [
            _allow("AppBundle", ["s3:GetObject"], [f"{bucket}/app/*"]),
            _allow("DatabaseCertificates", ["s3:GetObject"], [f"{bucket}/database/certificates/*"]),
            listing,
        ]
    return [
        _allow("WhoIsPrimaryAndWhetherAlone", ["s3:GetObject"], [f"{bucket}/database/primary.json", f"{bucket}/database/replication.json"]),
        _allow("WhetherAlone", ["s3:PutObject"], [f"{bucket}/database/replication.json"]),
        # Only where there is none: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
        _allow("WhoIsPrimaryOnce", ["s3:PutObject"], [f"{bucket}/database/primary.json"])
        | {"Condition": {"Null": {"s3:if-none-match": "false"}}},
        _allow("OwnCertificate", ["s3:PutObject"], [f"{bucket}/database/certificates/{OWN}.pem"]),
        _allow("DatabaseCertificates", ["s3:GetObject"], [f"{bucket}/database/certificates/*"]),
        listing,
    ]


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """What the rights name.

    `secrets` holds the ARNs that each role reads, `address_arn` is the Elastic IP's, `subnet_arns` are the load balancers' subnets'.
    """

    environment: Environment
    bucket_arn: pulumi.Input[str]
    secrets: dict[Role, list[pulumi.Output[str]]]
    address_arn: pulumi.Input[str]
    subnet_arns: list[pulumi.Output[str]]
    stack_id: pulumi.Output[str]


class Identity(Component):
    """The roles and profiles of all tiers."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        environment = args.environment
        self.roles: dict[Role, aws.iam.Role] = {}
        self.profiles: dict[Role, aws.iam.InstanceProfile] = {}
        self._policies: dict[Role, list[pulumi.Resource]] = {}
        for role in ROLES:
            resource = environment.resource(COMPONENT_OF[role])
            tags = environment.tags("identity", resource)
            self.roles[role] = aws.iam.Role(
                resource,
                description=f"{COMPONENT_OF[role]} hosts of {environment.name}",
                assume_role_policy=_TRUST,
                permissions_boundary=environment.settings.environment.permissions_boundary,
                tags=tags,
                opts=self.child(),
            )
            policy = aws.iam.RolePolicy(
                resource, role=self.roles[role].name, policy=self._document(role, args, self.roles[role]), opts=self.child()
            )
            self.profiles[role] = aws.iam.InstanceProfile(resource, role=self.roles[role].name, tags=tags, opts=self.child())
            self._policies[role] = [policy]
        self.register_outputs({})

    def needed_by(self, role: Role) -> list[pulumi.Resource]:
        """What must exist before a host of that role boots: its rights."""
        return list(self._policies[role])

    def _document(self, role: Role, args: IdentityArgs, made: aws.iam.Role) -> pulumi.Output[str]:
        environment = args.environment

        def document(values: list[Any]) -> str:
            bucket, address, own_arn, role_id, stack_id, subnets, *secrets = values
            named = environment.settings.load_balancer.tls.secret if role == "load_balancer" else None
            account = str(own_arn).split(":")[4]
            # Secrets Manager ends the ARN of a named secret with a dash and six characters.
            tls = f"arn:{environment.partition}:secretsmanager:{environment.region}:{account}:secret:{named}-??????" if named else ""
            keys = tuple(configuration_key(host) for host in environment.pets(role))
            rights = Rights(
                bucket=bucket,
                role_id=role_id,
                secrets=tuple(secrets),
                address=address,
                subnets=tuple(subnets),
                stack_id=stack_id,
                tls_secret=tls,
                configurations=keys,
            )
            return policy_document(role, rights)

        # Of a zone more no subnet is known yet: a policy that names none is not to look changed in a preview.
        subnets = pulumi.Output.all(*(args.subnet_arns if role == "load_balancer" else ()))
        own = (made.arn, made.unique_id, args.stack_id)
        return pulumi.Output.all(args.bucket_arn, args.address_arn, *own, subnets, *args.secrets[role]).apply(document)


_TRUST: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
