"""What the engine is told: names, tags and regions at Check, unknowns in a preview, secrets, failures, several instances on one port."""

import re

import pytest
from pulumi.runtime.proto import provider_pb2

from lab.provider.codec import UNKNOWN, Secret, encode, is_secret, unwrap
from lab.provider.schema import output_names
from tests.unit.provider.fake_engine import (
    REGION,
    AbortedError,
    CheckFailedError,
    Connection,
    FakeEngine,
    NetworkFixture,
    boto_client,
    diff_kinds,
)
from tests.unit.provider.test_schema import BUCKET, GROUP, HOST, INSTANCE, OBJECT, PASSWORD, ROLE, SECRET, SECRET_VERSION, TRUST, VPC

ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
PARAMETER = "aws:ssm/getParameter:getParameter"


def test_what_has_no_name_gets_the_resources_own_with_seven_digits_and_keeps_it(engine: FakeEngine) -> None:
    inputs = engine.check(ROLE, "web", {"assumeRolePolicy": TRUST})
    assert re.fullmatch(r"web-[0-9a-f]{7}", inputs["name"])
    assert inputs["__defaults"] == ["name"]
    assert engine.check(ROLE, "web", {"assumeRolePolicy": TRUST}, {**inputs, "name": "web-kept"})["name"] == "web-kept"
    assert engine.check(ROLE, "web", {"assumeRolePolicy": TRUST, "name": "mine"})["__defaults"] == []


def test_automatic_names_follow_their_types_rules(engine: FakeEngine) -> None:
    assert re.fullmatch(r"artifacts-[0-9a-f]{7}", engine.check(BUCKET, "Artifacts", {})["bucket"])
    assert engine.check(OBJECT, "app.tar.gz", {"bucket": "b", "content": ""})["key"] == "app.tar.gz"
    with pytest.raises(AbortedError, match="longer than the 64 characters"):
        engine.check(ROLE, "x" * 64, {"assumeRolePolicy": TRUST})


def test_an_automatic_name_obeys_the_rules_of_given_ones(engine: FakeEngine) -> None:
    with pytest.raises(CheckFailedError, match='name: expected a name that does not start with "sg-"'):
        engine.check(GROUP, "sg", {})


def test_the_engines_own_naming_is_followed(engine: FakeEngine) -> None:
    request = provider_pb2.CheckRequest(urn="urn:pulumi:d::p::" + BUCKET + "::x", news=encode({}))
    request.autonaming.proposed_name = "exactly"
    answer = engine.servicer.Check(request, Connection(engine.peer))
    assert answer.inputs["bucket"] == "exactly"


def test_default_tags_join_all_tags_and_the_resources_own_win(engine: FakeEngine) -> None:
    engine.configure(engine.peer, region=REGION, default_tags={"project": "webstack", "Name": "default"})
    inputs = engine.check(VPC, "net", {"cidrBlock": "10.0.0.0/16", "tags": {"Name": "own"}})
    assert inputs["tagsAll"] == {"project": "webstack", "Name": "own"}
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16", tags={"Name": "own"})
    assert (made["tags"], made["tagsAll"]) == ({"Name": "own"}, {"project": "webstack", "Name": "own"})
    assert engine.check(VPC, "net", {"cidrBlock": "10.0.0.0/16", "tags": {"a": UNKNOWN}})["tagsAll"] is UNKNOWN


def test_the_region_becomes_an_input_and_a_resource_may_name_another(engine: FakeEngine) -> None:
    assert engine.check(VPC, "net", {"cidrBlock": "10.0.0.0/16"})["region"] == REGION
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16", region="eu-west-1")
    assert made["arn"].startswith("arn:aws:ec2:eu-west-1:")
    assert made.id in [vpc["VpcId"] for vpc in boto_client("ec2", "eu-west-1").describe_vpcs()["Vpcs"]]
    assert "region" not in engine.check(ROLE, "r", {"assumeRolePolicy": TRUST})


def test_instances_on_one_port_are_told_apart_by_their_connection(engine: FakeEngine) -> None:
    engine.configure("ipv4:127.0.0.1:2", region="us-west-2", default_tags={})
    assert engine.invoke(ZONES, state="available")["names"][0] == "eu-central-1a"
    engine.peer = "ipv4:127.0.0.1:2"
    assert engine.invoke(ZONES, state="available")["names"][0] == "us-west-2a"
    engine.peer = "ipv4:127.0.0.1:3"
    with pytest.raises(AbortedError, match="before it configured"):
        engine.invoke(ZONES)


@pytest.mark.parametrize(
    "limit",
    [
        {"allowedAccountIds": '["210987654321"]'},
        {"allowedAccountIds": "[210987654321]"},
        {"allowedAccountIds": "210987654321"},
        {"allowedAccountIds": '{"a": 1}'},
        {"allowedAccountIds": "shop"},
        {"forbiddenAccountIds": '["123456789012"]'},
        {"forbiddenAccountIds": "123456789012"},
        {"allowedAccountIds": '["123456789012"]', "forbiddenAccountIds": '["123456789012"]'},
    ],
    ids=["another", "a-number", "no-list", "an-object", "no-json", "forbidden", "forbidden-no-list", "both"],
)
def test_an_account_that_is_not_allowed_is_refused_before_any_resource(engine: FakeEngine, limit: dict[str, str]) -> None:
    with pytest.raises(AbortedError, match=r"^AWS account ID not allowed: 123456789012$"):
        engine.configure("ipv4:127.0.0.1:2", region=REGION, default_tags={}, **limit)
    engine.peer = "ipv4:127.0.0.1:2"
    with pytest.raises(AbortedError, match="before it configured"):
        engine.create(VPC, "net", cidrBlock="10.0.0.0/16")


@pytest.mark.parametrize("value", ['["210987654321", "123456789012"]', "[123456789012]", "[]"])
def test_the_allowed_account_is_let_in(engine: FakeEngine, value: str) -> None:
    engine.configure(engine.peer, region=REGION, default_tags={}, allowedAccountIds=value)
    assert engine.create(VPC, "net", cidrBlock="10.0.0.0/16").id


def test_a_preview_knows_the_inputs_and_nothing_that_aws_gives(engine: FakeEngine) -> None:
    seen = engine.preview(VPC, "net", cidrBlock="10.0.0.0/16")
    assert seen["cidrBlock"] == "10.0.0.0/16"
    assert seen["enableDnsSupport"] is True
    assert {name for name, value in seen.items() if value is UNKNOWN} >= {"arn", "mainRouteTableId", "defaultSecurityGroupId"}
    assert len(boto_client("ec2").describe_vpcs()["Vpcs"]) == 1, "a preview makes nothing"


def test_the_preview_of_an_update_knows_what_it_renews(engine: FakeEngine) -> None:
    engine.create(BUCKET, "b", bucket="bucket-1")
    made = engine.create(OBJECT, "o", bucket="bucket-1", key="k", content="one")
    seen = engine.update(made, preview=True, content="two")
    assert seen.outputs["versionId"] is UNKNOWN
    assert engine.update(made, preview=True, tags={"a": "b"}).outputs["versionId"] == made["versionId"]


def test_every_output_of_the_sdk_is_answered_so_that_none_stays_unknown(small_network: NetworkFixture) -> None:
    made = small_network.instance()
    assert output_names(INSTANCE) <= made.outputs.keys()
    assert UNKNOWN not in made.outputs.values()


def test_a_secret_input_stays_secret_in_the_state_and_after_a_refresh(engine: FakeEngine) -> None:
    secret = engine.create(SECRET, "s", name="webstack/dev/x")
    version = engine.create(SECRET_VERSION, "v", secretId=secret.id, secretString=Secret("hunter2"))
    assert version.inputs["secretString"] == Secret("hunter2")
    assert version.outputs["secretString"] == Secret("hunter2")
    again = engine.refresh(version)
    assert again is not None
    assert is_secret(again.inputs["secretString"])
    assert is_secret(again.outputs["secretString"])
    assert not diff_kinds(engine.diff(again))


def test_a_secret_tag_makes_all_tags_secret(engine: FakeEngine) -> None:
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16", tags={"a": Secret("x")})
    assert is_secret(made.outputs["tagsAll"])
    assert boto_client("ec2").describe_vpcs(VpcIds=[made.id])["Vpcs"][0]["Tags"] == [{"Key": "a", "Value": "x"}]


def test_a_refused_secret_is_not_quoted(engine: FakeEngine) -> None:
    with pytest.raises(CheckFailedError) as refused:
        engine.check(INSTANCE, "i", {**HOST, "ami": Secret("hunter2")})
    assert "an image id" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_random_values_are_random_secret_and_kept(engine: FakeEngine) -> None:
    random = FakeEngine("random")
    one, other = random.create(PASSWORD, "a", length=24, special=False), random.create(PASSWORD, "b", length=24, special=False)
    assert one.outputs["result"] != other.outputs["result"]
    assert is_secret(one.outputs["result"])
    assert re.fullmatch(r"[0-9A-Za-z]{24}", one["result"])
    again = random.refresh(one)
    assert again is not None
    assert again["result"] == one["result"]
    assert not diff_kinds(random.diff(again))
    assert diff_kinds(random.diff(again, length=25)) == {"length": "update_replace"}
    every = random.create(PASSWORD, "c", length=4, minLower=1, minUpper=1, minNumeric=1, minSpecial=1)["result"]
    assert [bool(re.search(kind, every)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^0-9A-Za-z]")] == [True] * 4


def test_a_random_string_is_its_id() -> None:
    random = FakeEngine("random")
    text = random.create("random:index/randomString:RandomString", "b", length=8)
    assert text.id == text["result"]


def test_a_failure_names_the_resource_and_quotes_the_api(engine: FakeEngine) -> None:
    with pytest.raises(AbortedError) as failed:
        engine.create("aws:ec2/subnet:Subnet", "app", vpcId="vpc-missing", cidrBlock="10.0.0.0/24")
    assert "creating EC2 Subnet (app)" in str(failed.value)
    assert "CreateSubnet, api error InvalidVpcID.NotFound" in str(failed.value)
    assert not failed.value.saved


def test_what_exists_but_could_not_be_completed_is_saved_all_the_same(engine: FakeEngine) -> None:
    with pytest.raises(AbortedError) as failed:
        engine.create("aws:iam/instanceProfile:InstanceProfile", "web", name="web", role="missing")
    assert failed.value.saved
    assert boto_client("iam").get_instance_profile(InstanceProfileName="web")


def test_a_type_or_function_that_is_not_implemented_is_named(engine: FakeEngine) -> None:
    with pytest.raises(AbortedError, match="aws:sns/topic:Topic: the lab's provider does not implement"):
        engine.check("aws:sns/topic:Topic", "t", {})
    with pytest.raises(AbortedError, match="aws:ec2/getAmi:getAmi: the lab's provider does not implement"):
        engine.invoke("aws:ec2/getAmi:getAmi")


def test_a_bug_of_the_provider_says_that_it_is_one(engine: FakeEngine) -> None:
    with pytest.raises(AbortedError, match="the lab's provider failed in Check: IndexError"):
        engine.servicer.Check(provider_pb2.CheckRequest(urn="nonsense"), Connection(engine.peer))


def test_a_cancelled_run_ends_its_waits(engine: FakeEngine, small_network: NetworkFixture) -> None:
    made = small_network.instance()
    engine.servicer.Cancel(None, Connection(engine.peer))
    boto_client("ec2").stop_instances(InstanceIds=[made.id])
    engine.delete(made)
    assert engine.refresh(made) is None


def test_an_unknown_setting_or_region_is_refused(engine: FakeEngine) -> None:
    request = provider_pb2.CheckRequest(news=encode({"regoin": "x", "region": "Frankfurt", "skipRegionValidation": "true"}))
    answer = engine.servicer.CheckConfig(request, Connection(engine.peer))
    assert [failure.property for failure in answer.failures] == ["regoin", "region"]


def test_an_import_gives_what_aws_has_as_inputs(engine: FakeEngine) -> None:
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16", enableDnsHostnames=True, tags={"a": "b"})
    found = engine.load(VPC, made.id)
    assert found is not None
    assert {name: found.inputs[name] for name in ("cidrBlock", "enableDnsHostnames", "tags")} == {
        "cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True, "tags": {"a": "b"},
    }  # fmt: skip
    assert engine.load(VPC, "vpc-missing") is None


def test_the_images_parameter_is_answered_and_an_unknown_one_is_not(engine: FakeEngine) -> None:
    found = engine.invoke(PARAMETER, name="/aws/service/debian/release/13/latest/amd64")
    assert found["insecureValue"] == found["value"]
    assert re.fullmatch(r"ami-[0-9a-f]{17}", found["value"])
    with pytest.raises(CheckFailedError, match=r"reading SSM Parameter \(/none\): couldn't find resource"):
        engine.invoke(PARAMETER, name="/none")


def test_plain_values_carry_no_wrapper(engine: FakeEngine) -> None:
    assert unwrap(engine.create(VPC, "net", cidrBlock="10.0.0.0/16").outputs)["ownerId"] == "123456789012"
