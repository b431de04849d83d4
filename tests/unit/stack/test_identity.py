"""What each tier may do: exactly this, so that a right more is seen in review."""

import json
from typing import Any

import pytest
from webstack_host.variables import Role

from stack.identity import policy_document
from stack.roles import ROLES, role_spec
from stack.roles.spec import PolicyInputs
from tests.unit.stack.conftest import ProgramRunner

BUCKET = "arn:aws:s3:::artifacts"
ROLE_ID = "AROAEXAMPLE"
ADDRESS = "arn:aws:ec2:eu-central-1:123456789012:elastic-ip/eipalloc-1"
SUBNET = "arn:aws:ec2:eu-central-1:123456789012:subnet/subnet-1"


def statements_of(role: Role) -> dict[str, Any]:
    own = PolicyInputs(
        bucket_arn=BUCKET, role_id=ROLE_ID, secret_arns=("arn:secret",), elastic_ip_arn=ADDRESS, subnet_arns=(SUBNET,), stack_id="abc123"
    )
    document = json.loads(policy_document(role_spec(role), own))
    return {statement["Sid"]: statement for statement in document["Statement"]}


def test_the_load_balancer_may_hold_its_own_address_and_no_other() -> None:
    own = statements_of("load_balancer")
    holds = ["HoldAddress", "HoldAddressByLoadBalancer", "HoldAddressInSubnet"]
    assert sorted(own) == ["FindAddress", *holds, "OwnReadiness", "RoleBundle", "Secrets", "SessionManager", "TierListing", "TierReadiness"]
    everything = "arn:aws:ec2:eu-central-1:123456789012"
    assert [(own[sid]["Action"], own[sid]["Resource"], own[sid].get("Condition")) for sid in holds] == [
        (["ec2:AssociateAddress"], [ADDRESS], None),
        (
            ["ec2:AssociateAddress"],
            [f"{everything}:instance/*"],
            {"StringEquals": {"aws:ResourceTag/stack-id": "abc123", "aws:ResourceTag/role": "load_balancer"}},
        ),
        (["ec2:AssociateAddress"], [f"{everything}:network-interface/*"], {"ArnEqualsIfExists": {"ec2:Subnet": [SUBNET]}}),
    ]


def test_the_tags_and_subnets_that_the_rights_name_are_those_of_the_load_balancers(program: ProgramRunner) -> None:
    result = program("dev")
    policy = {one["Sid"]: one for one in json.loads(result.by_name("dev-load-balancer", "RolePolicy").inputs["policy"])["Statement"]}
    [wanted] = policy["HoldAddressByLoadBalancer"]["Condition"].values()
    tags = result.by_name("dev-lb-1", "Instance").inputs["tags"]
    assert {key.removeprefix("aws:ResourceTag/"): value for key, value in wanted.items()} == {
        key: tags[key] for key in ("stack-id", "role")
    }
    subnets = policy["HoldAddressInSubnet"]["Condition"]["ArnEqualsIfExists"]["ec2:Subnet"]
    hosts = [item for item in result.by_type("ec2/instance:Instance") if item.inputs["tags"]["role"] == "load_balancer"]
    others = [item for item in result.by_type("ec2/instance:Instance") if item not in hosts]
    named = {subnet.rpartition("/")[2] for subnet in subnets}
    assert {item.inputs["subnetId"] for item in hosts} <= named
    assert named.isdisjoint(item.inputs["subnetId"] for item in others)


def test_web_hosts_read_the_app_and_the_databases_certificates_and_write_their_readiness_alone() -> None:
    own = statements_of("web")
    assert sorted(own) == [
        "AppBundle",
        "DatabaseCertificates",
        "DatabaseListing",
        "OwnReadiness",
        "RoleBundle",
        "Rotation",
        "Secrets",
        "SecretsChanged",
        "SessionManager",
        "TierListing",
        "TierReadiness",
    ]
    assert own["AppBundle"]["Resource"] == [f"{BUCKET}/app/*"]
    writable = [statement for statement in own.values() if "s3:PutObject" in statement["Action"]]
    assert [statement["Resource"] for statement in writable] == [[f"{BUCKET}/hosts/${{aws:userid}}.json"]]


def test_database_hosts_may_name_the_primary_and_publish_their_own_certificate() -> None:
    own = statements_of("database")
    assert own["WhoIsPrimaryAndWhetherAlone"]["Resource"] == [f"{BUCKET}/database/primary.json", f"{BUCKET}/database/replication.json"]
    assert own["WhoIsPrimaryOnce"]["Condition"] == {"Null": {"s3:if-none-match": "false"}}
    assert own["OwnCertificate"]["Resource"] == [f"{BUCKET}/database/certificates/${{aws:userid}}.pem"]
    assert own["DatabaseListing"]["Resource"] == [BUCKET]


OWN = "${aws:userid}"
TIER = f"hosts/{ROLE_ID}*"
DATABASE = ("database/primary.json", "database/replication.json")
ALLOWED_OBJECTS: dict[Role, dict[str, set[str]]] = {
    "load_balancer": {"s3:GetObject": {"roles/load_balancer/*", TIER}, "s3:PutObject": {f"hosts/{OWN}.json"}},
    "web": {
        "s3:GetObject": {"roles/web/*", "app/*", "database/certificates/*", "secrets/changed", TIER},
        "s3:PutObject": {f"hosts/{OWN}.json"},
    },
    "database": {
        "s3:GetObject": {"roles/database/*", "database/certificates/*", "secrets/changed", TIER, *DATABASE},
        "s3:PutObject": {f"hosts/{OWN}.json", f"database/certificates/{OWN}.pem", *DATABASE},
    },
}
"""Every object that a tier may read or write, and none beside these."""


@pytest.mark.parametrize("role", ROLES)
def test_each_tier_reads_and_writes_exactly_these_objects(role: Role) -> None:
    found: dict[str, set[str]] = {}
    for statement in statements_of(role).values():
        for action in statement["Action"]:
            if action.startswith("s3:") and action != "s3:ListBucket":
                found.setdefault(action, set()).update(one.removeprefix(f"{BUCKET}/") for one in statement["Resource"])
    assert found == ALLOWED_OBJECTS[role]


@pytest.mark.parametrize("role", ["web", "database"])
def test_a_tier_sees_the_labels_of_what_it_may_read_and_of_no_other_secret(role: Role) -> None:
    own = statements_of(role)
    assert own["Rotation"]["Action"] == ["secretsmanager:DescribeSecret"]
    assert own["Rotation"]["Resource"] == own["Secrets"]["Resource"]


@pytest.mark.parametrize("role", ["web", "database"])
def test_a_listing_is_of_the_databases_part_of_the_bucket(role: Role) -> None:
    listing = statements_of(role)["DatabaseListing"]
    assert (listing["Action"], listing["Resource"]) == (["s3:ListBucket"], [BUCKET])
    assert listing["Condition"] == {"StringLikeIfExists": {"s3:prefix": "database/*"}}


@pytest.mark.parametrize("role", ROLES)
def test_a_host_reads_the_records_of_its_own_tier_alone(program: ProgramRunner, role: Role) -> None:
    listing = statements_of(role)["TierListing"]
    assert (listing["Action"], listing["Resource"], listing["Condition"]) == (
        ["s3:ListBucket"],
        [BUCKET],
        {"StringLike": {"s3:prefix": TIER}},
    )
    name = {"load_balancer": "dev-load-balancer", "web": "dev-web", "database": "dev-database"}[role]
    made = {item.name: json.loads(item.inputs["policy"])["Statement"] for item in program("dev").by_type("iam/rolePolicy:RolePolicy")}
    read = {
        host: [one["Resource"][0].rpartition("/")[2] for one in statements if one.get("Sid") == "TierReadiness"]
        for host, statements in made.items()
        if host != "dev-flow-logs"
    }
    assert len({tuple(one) for one in read.values()}) == len(ROLES), "each tier's are another's to read"
    assert read[name] != ["*"]


@pytest.mark.parametrize("role", ROLES)
def test_no_tier_has_a_wildcard_beyond_session_manager_and_looking_for_addresses(role: Role) -> None:
    for sid, statement in statements_of(role).items():
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if action.endswith("*")]
        if "*" in statement["Resource"]:
            assert sid in ("SessionManager", "FindAddress")
    assert "ssm:GetParameter" not in json.dumps(statements_of(role))


@pytest.mark.parametrize("role", ROLES)
def test_a_tier_reads_the_secrets_of_its_purposes_and_no_others(program: ProgramRunner, role: Role) -> None:
    name = {"load_balancer": "dev-load-balancer", "web": "dev-web", "database": "dev-database"}[role]
    policy = json.loads(program("dev").by_name(name, "RolePolicy").inputs["policy"])
    readable = [arn for statement in policy["Statement"] if statement.get("Sid") == "Secrets" for arn in statement["Resource"]]
    purposes = sorted(arn.rpartition("/")[2].rpartition("-")[0] for arn in readable)
    assert purposes == sorted(role_spec(role).secrets)


def test_the_users_own_certificate_is_readable_by_the_load_balancer_only(program: ProgramRunner) -> None:
    result = program("dev", loadBalancer={"tls": {"mode": "secret", "secret": "site/pem"}})
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:site/pem-??????"
    found = {item.name: arn in item.inputs["policy"] for item in result.by_type("iam/rolePolicy:RolePolicy")}
    assert found == {"dev-load-balancer": True, "dev-web": False, "dev-database": False, "dev-flow-logs": False}


def test_instances_alone_may_take_the_roles(program: ProgramRunner) -> None:
    trust = {item.name: json.loads(item.inputs["assumeRolePolicy"])["Statement"] for item in program("dev").by_type("iam/role:Role")}
    services = {name: [statement["Principal"]["Service"] for statement in statements] for name, statements in trust.items()}
    assert services == {
        "dev-load-balancer": ["ec2.amazonaws.com"],
        "dev-web": ["ec2.amazonaws.com"],
        "dev-database": ["ec2.amazonaws.com"],
        "dev-flow-logs": ["vpc-flow-logs.amazonaws.com"],
    }


def test_a_permissions_boundary_limits_every_role_of_the_program(program: ProgramRunner) -> None:
    boundary = "arn:aws:iam::123456789012:policy/webstack-boundary"
    limited = {item.name: item.inputs.get("permissionsBoundary") for item in program("dev", environment=BOUND).by_type("iam/role:Role")}
    assert limited == dict.fromkeys(("dev-load-balancer", "dev-web", "dev-database", "dev-flow-logs"), boundary)
    assert not [item.name for item in program("dev").by_type("iam/role:Role") if item.inputs.get("permissionsBoundary")]


BOUND = {"permissionsBoundary": "arn:aws:iam::123456789012:policy/webstack-boundary"}
