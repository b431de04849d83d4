"""Each statement of a tier's policy is there because a call that its hosts make needs it, as the lab's judge sees it."""

import json
from typing import Any

import pytest
from webstack_host.variables import Role

from lab.cloud.iam.evaluation import ApplicablePolicies, deny_reason
from lab.cloud.iam.request_context import Principal, RequestContext
from lab.cloud.iam.statements import AuthorizationRequest, parse_policy
from stack.identity import SESSION_MANAGER_STATEMENT, policy_document
from stack.roles import ROLES, role_spec
from stack.roles.spec import PolicyInputs

ACCOUNT = "123456789012"
EC2 = f"arn:aws:ec2:eu-central-1:{ACCOUNT}"
BUCKET = "arn:aws:s3:::artifacts"
ADDRESS = f"{EC2}:elastic-ip/eipalloc-1"
SUBNET = f"{EC2}:subnet/subnet-1"
SECRET = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:webstack/dev/app-writer-AbCdEf"
PEM = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:site/pem-AbCdEf"
SELF = "AROA1:i-1"

Call = tuple[str, str, dict[str, tuple[str, ...]]]


def call(action: str, resource: str, **facts: str) -> Call:
    return action, resource, {key.replace("__", ":"): (value,) for key, value in facts.items()}


def associate_tagged(stack_id: str, role: str) -> Call:
    """The address put on an instance with these tags."""
    facts = {"aws:resourcetag/stack-id": (stack_id,), "aws:resourcetag/role": (role,)}
    return "ec2:AssociateAddress", f"{EC2}:instance/i-1", facts


COMMON = [
    *(call(action, "*") for action in SESSION_MANAGER_STATEMENT["Action"]),  # the Session Manager agent's
    call("s3:PutObject", f"{BUCKET}/hosts/{SELF}.json"),  # webstack_host/readiness.py
    call("s3:ListBucket", BUCKET, s3__prefix="hosts/AROA1:"),  # webstack_host/peers.py
    call("s3:GetObject", f"{BUCKET}/hosts/AROA1:i-2.json"),
]
SECRETS = [  # webstack_host/stack_secrets.py
    call("secretsmanager:GetSecretValue", SECRET),
    call("secretsmanager:DescribeSecret", SECRET),
    call("s3:GetObject", f"{BUCKET}/secrets/changed"),
]
DATABASE_FACTS = [
    call("s3:GetObject", f"{BUCKET}/database/certificates/AROA2:i-2.pem"),
    call("s3:ListBucket", BUCKET, s3__prefix="database/certificates/"),
    call("s3:ListBucket", BUCKET),  # asked by S3 itself where a key is missing
]
ALLOWED_CALLS: dict[Role, list[Call]] = {
    "load_balancer": [
        *COMMON,
        call("s3:GetObject", f"{BUCKET}/roles/load_balancer/1.tar.gz"),
        call("s3:GetObject", f"{BUCKET}/configuration/lb-1.yaml"),  # webstack_host/desired_config.py
        call("secretsmanager:GetSecretValue", PEM),
        call("ec2:DescribeAddresses", "*"),
        call("ec2:AssociateAddress", ADDRESS),
        associate_tagged("abc", "load_balancer"),
        call("ec2:AssociateAddress", f"{EC2}:network-interface/eni-1", ec2__subnet=SUBNET),
    ],
    "web": [
        *COMMON,
        call("s3:GetObject", f"{BUCKET}/roles/web/1.tar.gz"),
        call("s3:GetObject", f"{BUCKET}/app/1.tar.gz"),
        *SECRETS,
        *DATABASE_FACTS,
    ],
    "database": [
        *COMMON,
        call("s3:GetObject", f"{BUCKET}/roles/database/1.tar.gz"),
        call("s3:GetObject", f"{BUCKET}/configuration/db-1.yaml"),
        *SECRETS,
        call("s3:GetObject", f"{BUCKET}/database/primary.json"),
        ("s3:PutObject", f"{BUCKET}/database/primary.json", {"s3:if-none-match": ("*",)}),
        call("s3:GetObject", f"{BUCKET}/database/replication.json"),
        call("s3:PutObject", f"{BUCKET}/database/replication.json"),
        call("s3:PutObject", f"{BUCKET}/database/certificates/{SELF}.pem"),
        *DATABASE_FACTS,
    ],
}
"""The calls that the hosts' programs make."""
DENIED_CALLS: dict[Role, list[Call]] = {
    "load_balancer": [
        call("secretsmanager:GetSecretValue", SECRET),
        call("ec2:AssociateAddress", f"{EC2}:elastic-ip/eipalloc-2"),
        call("ec2:AssociateAddress", f"{EC2}:instance/i-1"),
        associate_tagged("abc", "web"),
        associate_tagged("another", "load_balancer"),
        call("ec2:AssociateAddress", f"{EC2}:network-interface/eni-1", ec2__subnet=SUBNET.replace("subnet-1", "subnet-2")),
        call("ec2:DisassociateAddress", ADDRESS),
        call("s3:GetObject", f"{BUCKET}/app/1.tar.gz"),
        call("s3:GetObject", f"{BUCKET}/database/primary.json"),
        call("s3:GetObject", f"{BUCKET}/configuration/db-1.yaml"),
    ],
    "web": [
        call("ec2:AssociateAddress", ADDRESS),
        call("secretsmanager:GetSecretValue", SECRET.replace("app-writer", "database-replication")),
        call("s3:PutObject", f"{BUCKET}/database/primary.json"),
        call("s3:PutObject", f"{BUCKET}/database/certificates/{SELF}.pem"),
        call("s3:ListBucket", BUCKET, s3__prefix="hosts/"),
    ],
    "database": [
        call("ec2:AssociateAddress", ADDRESS),
        call("s3:PutObject", f"{BUCKET}/database/primary.json"),
        ("s3:PutObject", f"{BUCKET}/database/primary.json", {"s3:if-match": ('"etag"',)}),
        call("s3:PutObject", f"{BUCKET}/database/certificates/AROA2:i-2.pem"),
        call("s3:GetObject", f"{BUCKET}/app/1.tar.gz"),
        call("s3:GetObject", f"{BUCKET}/configuration/lb-1.yaml"),
    ],
}
"""Calls that would do harm, beside those that no tier may make."""
DENIED_TO_ALL = [
    call("s3:PutObject", f"{BUCKET}/secrets/changed"),
    call("secretsmanager:UpdateSecretVersionStage", SECRET),
    call("s3:PutObject", f"{BUCKET}/app/1.tar.gz"),
    call("s3:PutObject", f"{BUCKET}/roles/web/1.tar.gz"),
    call("s3:PutObject", f"{BUCKET}/configuration/lb-1.yaml"),
    call("s3:PutObject", f"{BUCKET}/hosts/AROA2:i-2.json"),
    call("s3:PutObject", f"{BUCKET}/hosts/AROA1:i-2.json"),
    call("s3:GetObject", f"{BUCKET}/hosts/AROA2:i-2.json"),
    call("s3:ListBucket", BUCKET, s3__prefix="hosts/AROA2:"),
    call("s3:DeleteObject", f"{BUCKET}/hosts/{SELF}.json"),
    call("s3:PutBucketPolicy", BUCKET),
    call("secretsmanager:PutSecretValue", SECRET),
    call("ec2:TerminateInstances", f"{EC2}:instance/i-1"),
    call("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/web"),
    call("ssm:GetParameter", f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter/x"),
]


KEYS: dict[Role, tuple[str, ...]] = {
    "load_balancer": ("configuration/lb-1.yaml",),
    "web": (),
    "database": ("configuration/db-1.yaml", "configuration/db-2.yaml"),
}


def document(role: Role) -> dict[str, Any]:
    secrets = () if role == "load_balancer" else (SECRET,)
    pem = (PEM.replace("AbCdEf", "??????"),) if role == "load_balancer" else ()
    rights = PolicyInputs(
        bucket_arn=BUCKET,
        role_id="AROA1",
        secret_arns=secrets,
        elastic_ip_arn=ADDRESS,
        subnet_arns=(SUBNET,),
        stack_id="abc",
        user_secret_arns=pem,
        configuration_keys=KEYS[role],
    )
    return json.loads(policy_document(role_spec(role), rights))


def denied(policy: dict[str, Any], calls: list[Call]) -> list[str]:
    session = Principal(account=ACCOUNT, role_arn=f"arn:aws:iam::{ACCOUNT}:role/r", session_arn="arn:aws:sts::1:assumed-role/r/i-1")
    statements = parse_policy(policy)
    asked = [
        AuthorizationRequest(action=action, resource=resource, context=RequestContext(values={"aws:userid": (SELF,), **facts}))
        for action, resource, facts in calls
    ]
    return [
        f"{ask.action} {ask.resource}" for ask in asked if deny_reason(ask, session, ApplicablePolicies(identity=statements)) is not None
    ]


STATEMENTS = [(role, statement["Sid"]) for role in ROLES for statement in document(role)["Statement"]]
ACTIONS = [
    (role, statement["Sid"], action) for role in ROLES for statement in document(role)["Statement"] for action in statement["Action"]
]


@pytest.mark.parametrize("role", ROLES)
def test_every_call_that_a_tiers_hosts_make_is_allowed(role: Role) -> None:
    assert denied(document(role), ALLOWED_CALLS[role]) == []


@pytest.mark.parametrize(("role", "sid"), STATEMENTS)
def test_without_a_statement_a_call_that_is_made_is_refused(role: Role, sid: str) -> None:
    policy = document(role)
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Sid"] != sid]
    assert denied(policy, ALLOWED_CALLS[role]) != [], f"nothing needs {sid}"


@pytest.mark.parametrize(("role", "sid", "action"), ACTIONS)
def test_without_an_action_a_call_that_is_made_is_refused(role: Role, sid: str, action: str) -> None:
    policy = document(role)
    for statement in policy["Statement"]:
        if statement["Sid"] == sid:
            statement["Action"] = [kept for kept in statement["Action"] if kept != action]
    assert denied(policy, ALLOWED_CALLS[role]) != [], f"nothing needs {action} of {sid}"


@pytest.mark.parametrize("role", ROLES)
def test_calls_that_would_do_harm_are_refused(role: Role) -> None:
    calls = DENIED_CALLS[role] + DENIED_TO_ALL
    assert denied(document(role), calls) == [f"{action} {resource}" for action, resource, _ in calls]
