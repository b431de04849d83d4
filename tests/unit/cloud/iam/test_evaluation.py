"""Statements and policies, by the rules of AWS's documentation.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from typing import Any

import pytest

from lab.cloud.iam.evaluation import ApplicablePolicies, deny_reason
from lab.cloud.iam.request_context import Principal, RequestContext
from lab.cloud.iam.statements import AuthorizationRequest, parse_policy

ACCOUNT = "123456789012"
WEB = Principal(
    account=ACCOUNT,
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/web",
    session_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/web/i-1",
    user_id="AROAWEB:i-1",
)
FACTS = RequestContext(values={"aws:userid": ("AROAWEB:i-1",), "aws:securetransport": ("true",), "aws:principaltag/team": ("shop",)})
OBJECT = "arn:aws:s3:::artifacts/hosts/AROAWEB:i-1.json"


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Any:
    return parse_policy({"Version": version, "Statement": list(statements)})


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def why(action: str = "s3:PutObject", on: str = OBJECT, principal: Principal = WEB, **policies: Any) -> str | None:
    return deny_reason(AuthorizationRequest(action=action, resource=on, context=FACTS), principal, ApplicablePolicies(**policies))


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        (allow(), True),
        (allow("s3:PutObject", OBJECT), True),
        (allow("S3:putobject", OBJECT), True),
        (allow("s3:Put*", "arn:aws:s3:::artifacts/*"), True),
        (allow("s3:Put?bject", "arn:aws:s3:::artifacts/hosts/${aws:userid}.json"), True),
        (allow(["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::other/*", "arn:aws:s3:::artifacts/hosts/*"]), True),
        (allow("s3:GetObject", OBJECT), False),
        (allow("ec2:PutObject", OBJECT), False),
        (allow("s3:PutObject", "arn:aws:s3:::artifacts"), False),
        (allow("s3:PutObject", "arn:aws:s3:::Artifacts/*"), False),
        (allow("s3:PutObject", "arn:aws:s3:::artifacts/hosts/${aws:username}.json"), False),
        (allow("s3:PutObject", "arn:aws:s3:::artifacts/hosts/${ec2:ResourceTag/x}.json"), False),
        (allow("s3:PutObject", "arn:aws:*/hosts/*"), False),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"}, True),
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::artifacts/*"}, False),
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::${ec2:ResourceTag/x}"}, False),
        (allow(Condition={"Bool": {"aws:SecureTransport": "true"}}), True),
        (allow(Condition={"Bool": {"aws:SecureTransport": True}}), True),
        (allow(Condition={"Bool": {"aws:SecureTransport": "false"}}), False),
        (allow(Condition={"StringEquals": {"aws:PrincipalTag/Team": ["ops", "shop"], "AWS:UserID": "AROAWEB:i-1"}}), True),
        (allow(Condition={"StringEquals": {"aws:PrincipalTag/team": "shop", "aws:userid": "another"}}), False),
        (allow(Condition={"StringEquals": {"aws:PrincipalTag/team": "shop"}, "Bool": {"aws:SecureTransport": "false"}}), False),
        (allow(Condition={"StringNotEquals": {"aws:SourceIp": "198.51.100.1"}}), False),
    ],
)
def test_an_identity_policy_allows(statement: dict[str, Any], allowed: bool) -> None:
    assert (why(identity=policy(statement)) is None) is allowed


def test_without_a_policy_nothing_is_allowed_and_the_message_is_awss() -> None:
    assert why() == (
        f"User: {WEB.session_arn} is not authorized to perform: s3:PutObject on resource: "
        f'"{OBJECT}" because no identity-based policy allows the s3:PutObject action'
    )


@pytest.mark.parametrize("kind", ["identity", "boundary", "endpoint", "resource"])
def test_a_deny_anywhere_wins(kind: str) -> None:
    everything = policy(allow(Principal="*"))
    policies = {"identity": everything, "boundary": everything, "endpoint": everything, "resource": everything}
    assert why(**policies) is None
    denied = why(**{**policies, kind: policy(allow(Principal="*"), deny("s3:PutObject", Principal="*"))})
    assert denied is not None
    assert "with an explicit deny in a" in denied


@pytest.mark.parametrize(
    ("condition", "denied"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "ops"}}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "ops"}, "Bool": {"aws:SecureTransport": "false"}}, False),
    ],
)
def test_a_deny_whose_condition_the_lab_cannot_tell_denies(condition: dict[str, Any], denied: bool) -> None:
    assert (why(identity=policy(allow(), deny(Condition=condition))) is not None) is denied


def test_a_boundary_and_an_endpoint_only_limit() -> None:
    reads = policy(allow("s3:Get*", Principal="*"))
    assert "no permissions boundary allows" in str(why(identity=policy(allow()), boundary=reads))
    assert "no VPC endpoint policy allows" in str(why(identity=policy(allow()), endpoint=reads))
    assert "no identity-based policy allows" in str(why(boundary=policy(allow()), endpoint=policy(allow(Principal="*"))))


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": WEB.role_arn}, True),
        ({"AWS": [WEB.session_arn]}, True),
        ({"AWS": ACCOUNT}, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/database"}, False),
        ({"Service": "ec2.amazonaws.com"}, False),
    ],
)
def test_a_resources_policy_allows_whom_it_names_and_leaves_the_account_to_iam(principal: Any, allowed: bool) -> None:
    resource = policy(allow(Principal=principal))
    assert (why(resource=resource) is None) is allowed
    assert why(resource=resource, identity=policy(allow())) is None


@pytest.mark.parametrize(
    ("principal", "denied"),
    [("*", True), ({"AWS": ACCOUNT}, True), ({"AWS": WEB.role_arn}, True), ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/database"}, False)],
)
def test_a_resources_policy_denies_whom_it_names_and_the_accounts_sessions(principal: Any, denied: bool) -> None:
    assert (why(identity=policy(allow()), resource=policy(deny(Principal=principal))) is not None) is denied


def test_not_principal_spares_only_who_is_named_with_role_and_account() -> None:
    everyone_but = {**deny(), "NotPrincipal": {"AWS": [WEB.session_arn, WEB.role_arn, f"arn:aws:iam::{ACCOUNT}:root"]}}
    assert why(identity=policy(allow()), resource=policy(everyone_but)) is None
    incomplete = {**deny(), "NotPrincipal": {"AWS": [WEB.role_arn]}}
    assert why(identity=policy(allow()), resource=policy(incomplete)) is not None
    assert why(resource=policy({**allow(), "NotPrincipal": {"AWS": "somebody"}})) is not None


def test_nobody_is_allowed_by_a_public_policy_alone() -> None:
    assert why(principal=Principal(), resource=policy(allow(Principal="*"))) is None
    assert why(principal=Principal(), resource=policy(allow(Principal={"AWS": WEB.role_arn}))) is not None
    assert "User: anonymous" in str(why(principal=Principal()))


def test_the_older_version_knows_no_variables() -> None:
    own = allow("s3:PutObject", "arn:aws:s3:::artifacts/hosts/${aws:userid}.json")
    assert why(identity=policy(own)) is None
    assert why(identity=policy(own, version="2008-10-17")) is not None


def test_a_variable_reaches_over_no_part_of_an_arn() -> None:
    facts = RequestContext(values={"aws:userid": ("*",)})
    ask = AuthorizationRequest(action="s3:PutObject", resource="arn:aws:s3:::artifacts/hosts/other.json", context=facts)
    own = policy(allow("s3:PutObject", "arn:aws:s3:::artifacts/hosts/${aws:userid}.json"))
    assert deny_reason(ask, WEB, ApplicablePolicies(identity=own)) is not None


@pytest.mark.parametrize("document", ["nonsense", "[]", '"text"'])
def test_what_is_no_policy_is_an_error_and_allows_nothing(document: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own error is one
        parse_policy(document)
