"""The whole program: what it registers for dev and prod and with which options.

These tests decide what is asked of the engine. They cannot decide what the real provider answers, nor whether a host boots.
"""

import json
import re
from collections import Counter
from typing import Any

import pytest

from lab.provider.codec import Asset
from lab.provider.schema import resource_fields
from stack.naming import COMPONENT_TYPES
from tests.unit.monitor import AMI, UNKNOWN
from tests.unit.stack.conftest import REPOSITORY, ProgramRunner
from tests.unit.stack.program_queries import INSTANCE, host_file, hosts, published_keys, short


def test_dev_is_exactly_these_resources(program: ProgramRunner) -> None:
    counts = Counter(short(item.token) for item in program("dev").resources if item.custom)
    assert counts == {
        "Bucket": 1, "BucketPublicAccessBlock": 1, "BucketOwnershipControls": 1, "BucketVersioning": 1, "BucketPolicy": 1,
        "BucketServerSideEncryptionConfiguration": 1, "BucketLifecycleConfiguration": 1, "BucketObjectv2": 3,
        "Vpc": 1, "Subnet": 6, "InternetGateway": 1, "Eip": 2, "NatGateway": 1, "RouteTable": 3, "Route": 3, "RouteTableAssociation": 6,
        "VpcEndpoint": 1, "DefaultSecurityGroup": 1, "FlowLog": 1, "LogGroup": 1,
        "SecurityGroup": 3, "SecurityGroupIngressRule": 7, "SecurityGroupEgressRule": 11,
        "Zone": 1, "Record": 5,
        "RandomString": 1, "RandomPassword": 7, "Secret": 7, "SecretVersion": 7,
        "Role": 4, "RolePolicy": 4, "InstanceProfile": 3,
        "Instance": 5, "Volume": 2, "VolumeAttachment": 2,
    }  # fmt: skip


def test_prod_has_a_nat_gateway_and_a_table_for_each_of_its_three_zones(program: ProgramRunner) -> None:
    counts = Counter(short(item.token) for item in program("prod").resources)
    assert (counts["Subnet"], counts["NatGateway"], counts["RouteTable"], counts["Instance"]) == (9, 3, 4, 6)
    targets = {item.inputs["natGatewayId"] for item in program("prod").by_type("ec2/route:Route") if "natGatewayId" in item.inputs}
    assert len(targets) == 3


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_no_nat_gateway_can_be_given_the_address_of_a_host(program: ProgramRunner, stack: str) -> None:
    result = program(stack)
    gateways = sorted(str(item.inputs.get("privateIp")) for item in result.by_type("ec2/natGateway:NatGateway"))
    assert gateways == (["10.20.0.20"] if stack == "dev" else ["10.30.0.20", "10.30.16.20", "10.30.32.20"])
    taken = {item.inputs.get("privateIp") for item in result.by_type(INSTANCE)}
    assert not taken & set(gateways)


@pytest.mark.parametrize("stack", ["dev", "prod"])
@pytest.mark.parametrize("preview", [False, True])
def test_hosts_have_their_places_types_and_options(program: ProgramRunner, stack: str, preview: bool) -> None:
    result = program(stack, preview=preview)
    found = hosts(result)
    web = [f"web-{number}" for number in range(1, (2 if stack == "dev" else 3) + 1)]
    assert sorted(found) == sorted(["lb-1", "db-1", "db-2", *web])
    prefix = "10.20" if stack == "dev" else "10.30"
    addresses = {name: item.inputs.get("privateIp") for name, item in found.items()}
    assert addresses == {
        "lb-1": f"{prefix}.0.10",
        "db-1": f"{prefix}.128.10",
        "db-2": f"{prefix}.144.10",
        **dict.fromkeys(web),
    }
    for name, item in found.items():
        pet = name not in web
        assert item.inputs["userDataReplaceOnChange"] is not pet, f"{name}: changed user data replaces cattle and never pets"
        assert item.delete_before_replace is pet, f"{name}: two hosts cannot have one address at a time"
        assert item.protect is (pet and stack == "prod")
        assert item.ignore_changes == ("ami",), f"{name}: without a pin a new image changes nothing"
        assert item.inputs["ami"] == AMI
        assert item.inputs["metadataOptions"] == {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}
        root = item.inputs["rootBlockDevice"]
        assert (root["encrypted"], root["volumeType"]) == (True, "gp3")
        for absent in ("keyName", "associatePublicIpAddress", "securityGroups", "userDataBase64"):
            assert absent not in item.inputs


CHANGES_OF_AN_INSTANCE = {
    "ami": "replaces",
    "subnetId": "replaces",
    "privateIp": "replaces",
    "instanceType": "stops",
    "userData": "stops",
    "userDataReplaceOnChange": "nothing",
    "vpcSecurityGroupIds": "runs on",
    "iamInstanceProfile": "runs on",
    "metadataOptions": "runs on",
    "rootBlockDevice": "runs on",
    "tags": "runs on",
}
"""What the provider does to a running instance when a property that the program sets changes.

terraform-provider-aws, internal/service/ec2/ec2_instance.go: `replaces` is ForceNew in the schema; `stops` goes through
modifyInstanceAttributeWithStopStart in resourceInstanceUpdate; `runs on` is any other call there (ModifyNetworkInterfaceAttribute,
ReplaceIamInstanceProfileAssociation, ModifyInstanceMetadataOptions, ModifyVolume, CreateTags). Of the root volume only `encrypted`
and `kmsKeyId` replace.
"""


def test_no_change_of_a_property_stops_the_hosts_of_a_tier_of_cattle_at_once(program: ProgramRunner) -> None:
    stopping = {name for name, effect in CHANGES_OF_AN_INSTANCE.items() if effect == "stops"}
    for name, item in hosts(program("dev")).items():
        assert item.inputs.keys() <= CHANGES_OF_AN_INSTANCE.keys(), "what a change of it does must be known"
        by_switch = {"userData"} if item.inputs["userDataReplaceOnChange"] else set[str]()
        replacing = by_switch | set(item.replace_on_changes)
        assert replacing == (stopping if name.startswith("web") else set()), f"{name}: cattle are replaced, pets are stopped in place"
        assert not (item.replaces_first and name.startswith("web")), "the new one comes before the old one goes"


def test_a_pinned_image_rolls_the_web_hosts_only(program: ProgramRunner) -> None:
    pinned = hosts(program("dev", environment={"class": "development", "ami": "ami-0fedcba9876543210"}))
    assert {name: item.ignore_changes for name, item in pinned.items()} == {
        "lb-1": ("ami",),
        "db-1": ("ami",),
        "db-2": ("ami",),
        "web-1": (),
        "web-2": (),
    }
    assert {item.inputs["ami"] for item in pinned.values()} == {"ami-0fedcba9876543210"}


PROTECTED = {
    "Bucket": 1, "Secret": 7, "SecretVersion": 7, "RandomPassword": 7, "RandomString": 1, "Zone": 1, "Volume": 2, "Instance": 3, "Eip": 1,
}  # fmt: skip


def test_production_protects_what_holds_data_or_addresses_and_nothing_else(program: ProgramRunner) -> None:
    protected = [item for item in program("prod").resources if item.protect]
    assert Counter(short(item.token) for item in protected) == PROTECTED
    assert [item.name for item in protected if short(item.token) == "Eip"] == ["prod-address"]
    assert all(item.custom for item in protected), "a protected component protects nothing and only stands in the way"
    assert [item.inputs["recoveryWindowInDays"] for item in program("prod").by_type("secretsmanager/secret:Secret")] == [30] * 7
    assert program("prod").by_name("prod-artifacts", "Bucket").inputs["forceDestroy"] is False
    assert program("prod").by_name("prod-zone").inputs["forceDestroy"] is False


@pytest.mark.parametrize(
    "kind", [{"class": "development"}, {"class": "ephemeral", "expires": "2030-01-31T18:00:00Z"}], ids=["development", "ephemeral"]
)
def test_other_environments_are_destroyed_to_nothing(program: ProgramRunner, kind: dict[str, str]) -> None:
    result = program("dev", environment=kind)
    assert not [item.name for item in result.resources if item.protect]
    assert result.by_name("dev-artifacts", "Bucket").inputs["forceDestroy"] is True
    assert result.by_name("dev-zone").inputs["forceDestroy"] is True
    assert {item.inputs["recoveryWindowInDays"] for item in result.by_type("secretsmanager/secret:Secret")} == {0}


COMPONENTS = {"network", "firewall", "identity", "credentials", "artifacts", "dns", "load-balancer", "web", "database"}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_everything_taggable_is_tagged(program: ProgramRunner, stack: str) -> None:
    result = program(stack)
    taggable = [item for item in result.resources if item.custom and "tags" in resource_fields(item.token)]
    assert len(taggable) > 40
    for item in taggable:
        tags = item.inputs["tags"]
        assert tags["project"] == "webstack", item.name
        assert tags["environment"] == stack
        assert tags["component"] in COMPONENTS
        assert tags["Name"] == item.name
        assert ("team" in tags) is (stack == "prod")
        assert "expires" not in tags
    for name, item in hosts(result).items():
        assert item.inputs["tags"]["role"] == {"lb": "load_balancer", "web": "web", "db": "database"}[name.partition("-")[0]]
        assert item.inputs["rootBlockDevice"]["tags"] == item.inputs["tags"]


def test_an_ephemeral_stack_says_on_everything_when_it_may_go(program: ProgramRunner) -> None:
    moment = "2030-01-31T18:00:00Z"
    extra = {f"t{number}": "x" for number in range(5)}
    result = program("dev", environment={"class": "ephemeral", "expires": moment, "tags": extra})
    for item in result.resources:
        if item.custom and "tags" in resource_fields(item.token):
            assert item.inputs["tags"]["expires"] == moment


def test_every_component_has_its_type_from_the_table_and_every_row_is_used(program: ProgramRunner) -> None:
    used = {item.token for item in program("dev").resources if not item.custom}
    assert used == set(COMPONENT_TYPES.values()) - {COMPONENT_TYPES["PlainHosts"]}, (
        "those are of roles without a component: test_roles.py makes one"
    )
    for name, token in COMPONENT_TYPES.items():
        assert token.rpartition(":")[2] == name


def test_every_resource_has_a_component_as_its_parent(program: ProgramRunner) -> None:
    result = program("dev")
    components = {item.urn for item in result.resources if not item.custom}
    assert [item.name for item in result.resources if item.custom and item.parent not in components] == []


def test_a_name_that_is_not_there_yet_is_forgotten_after_seconds(program: ProgramRunner) -> None:
    soa = program("dev").by_name("dev-zone-soa")
    assert (soa.inputs["type"], soa.inputs["ttl"], soa.inputs["allowOverwrite"]) == ("SOA", 5, True)
    (record,) = soa.inputs["records"]
    assert re.fullmatch(r"ns-\d+\.awsdns-\d+\.com\. awsdns-hostmaster\.amazon\.com\. 1 7200 900 1209600 5", record)


def test_active_passive_is_two_names(program: ProgramRunner) -> None:
    result = program("dev", loadBalancer={"backendMode": "active-passive"}, web={"count": 3})
    addresses = [item for item in result.by_type("route53/record:Record") if item.inputs["type"] == "A"]
    names = {item.inputs["name"]: len(item.inputs["records"]) for item in addresses}
    assert names == {
        "lb-1.dev.webstack.internal": 1,
        "db-1.dev.webstack.internal": 1,
        "db-2.dev.webstack.internal": 1,
        "web.dev.webstack.internal": 2,
        "web-standby.dev.webstack.internal": 1,
    }


def test_without_a_replica_there_is_one_database_host(program: ProgramRunner) -> None:
    result = program("dev", database={"replica": False})
    assert sorted(hosts(result)) == ["db-1", "lb-1", "web-1", "web-2"]
    assert result.outputs["database_addresses"] == {"db-1": "10.20.128.10"}


def test_no_secret_is_in_clear_in_any_property_output_or_line_of_log(program: ProgramRunner) -> None:
    result = program("dev")
    versions = result.by_type("secretsmanager/secretVersion:SecretVersion")
    values = {item.inputs["secretString"] for item in versions}
    assert len(values) == 7
    assert all(value.startswith("made-up-password-") for value in values)
    assert all("secretString" in item.secret_inputs for item in versions)
    elsewhere = json.dumps([dict(item.inputs) for item in result.resources if item not in versions], default=repr)
    for value in values:
        for place in (elsewhere, json.dumps(result.outputs), *result.log):
            assert value not in place


def test_a_first_preview_leaves_unknown_only_what_aws_gives(program: ProgramRunner) -> None:
    result = program("dev", preview=True)
    assert result.outputs["database_addresses"] == {"db-1": "10.20.128.10", "db-2": "10.20.144.10"}
    assert result.outputs["url"] is UNKNOWN
    assert len(result.resources) == len(program("dev").resources), "a preview that lists less than is made is a lie"
    assert published_keys(result) == set()


def test_outputs_are_what_people_and_tests_need(program: ProgramRunner) -> None:
    result = program("dev")
    assert sorted(result.outputs) == [
        "allowed_networks",
        "bucket_name",
        "database_addresses",
        "instance_ids",
        "network",
        "public_address",
        "stack_id",
        "url",
        "zones",
    ]
    assert result.outputs["url"] == f"https://{result.outputs['public_address']}/"
    assert sorted(result.outputs["instance_ids"]) == ["db-1", "db-2", "lb-1", "web-1", "web-2"]
    assert program("dev", loadBalancer={"domain": "shop.example.com"}).outputs["url"] == "https://shop.example.com/"


def test_the_bucket_is_private_versioned_encrypted_and_answers_by_tls_only(program: ProgramRunner) -> None:
    result = program("dev")
    assert (
        result.by_name("dev-artifacts", "BucketPublicAccessBlock").inputs.items()
        >= dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True).items()
    )
    assert result.by_name("dev-artifacts", "BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    statement = json.loads(result.by_name("dev-artifacts", "BucketPolicy").inputs["policy"])["Statement"][0]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_data_is_on_encrypted_volumes_of_its_own_which_leave_a_stopped_host(program: ProgramRunner) -> None:
    result = program("dev")
    for item in result.by_type("ebs/volume:Volume"):
        assert (item.inputs["encrypted"], item.inputs["type"], item.inputs["size"]) == (True, "gp3", 10)
    for item in result.by_type("ec2/volumeAttachment:VolumeAttachment"):
        assert item.inputs["stopInstanceBeforeDetaching"] is True


def test_flow_logs_cannot_create_groups(program: ProgramRunner) -> None:
    policy = json.loads(program("dev").by_name("dev-flow-logs", "RolePolicy").inputs["policy"])
    assert "logs:CreateLogGroup" not in json.dumps(policy)
    assert program("dev").by_name("dev-default-firewall").inputs.get("ingress") == []


def test_no_file_of_this_machine_is_a_property_of_anything(program: ProgramRunner) -> None:
    result = program("dev")
    assert len(published_keys(result)) == 4
    for item in result.resources:
        assert not any(isinstance(value, Asset) for value in item.inputs.values()), f"{item.name}: the state would hold the file's path"
        assert str(REPOSITORY) not in json.dumps(dict(item.inputs), default=repr), item.name


@pytest.mark.parametrize("preview", [False, True])
def test_what_is_looked_up_by_name_or_tag_bears_the_id_of_this_stack_alone(program: ProgramRunner, preview: bool) -> None:
    result = program("dev", preview=preview)
    made = result.by_name("dev-stack-id")
    for secret in result.by_type("secretsmanager/secret:Secret"):
        assert made.urn in secret.property_dependencies["name"], secret.name
    for item in (*result.by_type(INSTANCE), *result.by_type("ebs/volume:Volume")):
        assert made.urn in item.property_dependencies["tags"], item.name
    if preview:
        return
    found = hosts(result)
    stack_id = found["db-1"].inputs["tags"]["stack-id"]
    assert {item.inputs["tags"]["stack-id"] for item in (*found.values(), *result.by_type("ebs/volume:Volume"))} == {stack_id}
    prefix = f"webstack/dev-{stack_id}"
    names = {item.inputs["name"].rpartition("/")[0] for item in result.by_type("secretsmanager/secret:Secret")}
    assert names == {prefix} == {host_file(found[name])["secret_prefix"] for name in ("web-1", "db-1", "db-2")}


def test_production_with_a_certificate_of_its_own_making_is_warned_of_at_every_run(program: ProgramRunner) -> None:
    own: dict[str, Any] = {"tls": {"mode": "secret", "secret": "site/pem"}}
    for preview in (True, False):
        said = [line for line in program("prod", preview=preview).log if "self-signed" in line]
        assert len(said) == 1
        assert "set webstack:loadBalancer.tls to {mode: secret, secret: NAME}" in said[0]
    for quiet in (program("dev"), program("prod", loadBalancer=own)):
        assert [line for line in quiet.log if "self-signed" in line] == []
