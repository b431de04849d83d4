"""What an auditor would ask of the hosts, asked of the API."""

import base64
import functools

import pytest
import yaml

from tests.aws.api import Api, Resource, tags
from tests.aws.harness import Stack

HOSTS = {"dev": ["db-1", "db-2", "lb-1", "web-1", "web-2"], "prod": ["db-1", "db-2", "lb-1", "web-1", "web-2", "web-3"]}

USER_DATA_LIMIT = 16384
"""Bytes that EC2 takes, before base64. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""


@pytest.fixture
def hosts(each: Stack) -> dict[str, Resource]:
    return {tags(one)["host"]: one for one in each.api.instances()}


@functools.cache
def user_data(api: Api, instance: str) -> str:
    answer = api.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
    return base64.b64decode(answer["UserData"].get("Value", "")).decode()


def test_the_hosts_are_those_of_the_configuration_and_all_run(each: Stack, hosts: dict[str, Resource]) -> None:
    assert sorted(hosts) == HOSTS[each.name]
    assert len(each.api.instances()) == len(hosts)
    assert {one["State"]["Name"] for one in hosts.values()} == {"running"}


def test_every_host_wants_a_token_for_its_metadata_which_goes_one_hop(hosts: dict[str, Resource]) -> None:
    options = {host: one["MetadataOptions"] for host, one in hosts.items()}
    found = {host: (one["HttpEndpoint"], one["HttpTokens"], one["HttpPutResponseHopLimit"]) for host, one in options.items()}
    assert found == dict.fromkeys(hosts, ("enabled", "required", 1))


def test_no_host_has_a_key_pair(each: Stack, hosts: dict[str, Resource]) -> None:
    assert [host for host, one in hosts.items() if one.get("KeyName")] == []
    assert each.api.describe("key_pairs") == []


def test_only_the_load_balancer_has_a_public_address(hosts: dict[str, Resource]) -> None:
    assert [host for host, one in hosts.items() if one.get("PublicIpAddress")] == ["lb-1"]


def test_every_host_is_in_a_subnet_of_its_tier_and_neighbours_are_in_different_zones(each: Stack, hosts: dict[str, Resource]) -> None:
    subnets = {one["SubnetId"]: tags(one).get("Name", "").removeprefix(f"{each.name}-") for one in each.api.describe("subnets")}
    places = {"lb-1": "public-1", "web-1": "app-1", "web-2": "app-2", "web-3": "app-3", "db-1": "data-1", "db-2": "data-2"}
    assert {host: subnets[one["SubnetId"]] for host, one in hosts.items()} == {host: places[host] for host in hosts}
    zones = {host: one["Placement"]["AvailabilityZone"] for host, one in hosts.items()}
    assert zones["web-1"] != zones["web-2"]
    assert zones["db-1"] != zones["db-2"]


def test_every_host_has_its_tier_s_group_and_its_tier_s_profile_and_no_other(each: Stack, hosts: dict[str, Resource]) -> None:
    tiers = {"lb": "load-balancer", "web": "web", "db": "database"}
    names = {one["GroupId"]: tags(one).get("Name") for one in each.api.describe("security_groups")}
    for host, one in hosts.items():
        tier = f"{each.name}-{tiers[host.partition('-')[0]]}"
        assert [[names[group["GroupId"]] for group in card["Groups"]] for card in one["NetworkInterfaces"]] == [[tier]], host
        assert one["IamInstanceProfile"]["Arn"].rpartition("/")[2].startswith(f"{tier}-"), host


def test_databases_and_load_balancers_are_where_the_plan_puts_them(each: Stack, hosts: dict[str, Resource]) -> None:
    network = {"dev": "10.20", "prod": "10.30"}[each.name]
    fixed = {host: hosts[host]["PrivateIpAddress"] for host in ("lb-1", "db-1", "db-2")}
    assert fixed == {"lb-1": f"{network}.0.10", "db-1": f"{network}.128.10", "db-2": f"{network}.144.10"}


def test_every_volume_is_encrypted_gp3_and_only_data_outlives_its_host(each: Stack, hosts: dict[str, Resource]) -> None:
    volumes = {one["VolumeId"]: one for one in each.api.describe("volumes")}
    assert {(one["Encrypted"], one["VolumeType"]) for one in volumes.values()} == {(True, "gp3")}
    attached = [(host, disk["Ebs"]["VolumeId"], disk["Ebs"]["DeleteOnTermination"]) for host in hosts for disk in disks(hosts[host])]
    assert sorted(identifier for _, identifier, _ in attached) == sorted(volumes), "no volume lies about"
    data = {host: volumes[identifier] for host, identifier, goes in attached if not goes}
    assert {host: tags(one)["Name"] for host, one in data.items()} == {host: f"{each.name}-{host}-data" for host in ("db-1", "db-2")}
    assert {one["Size"] for one in data.values()} == {{"dev": 10, "prod": 100}[each.name]}
    assert sorted(host for host, _, goes in attached if goes) == sorted(hosts)


def disks(host: Resource) -> list[Resource]:
    return host["BlockDeviceMappings"]


def test_user_data_is_plain_cloud_config_under_ec2_s_limit(each: Stack, hosts: dict[str, Resource]) -> None:
    for host, one in hosts.items():
        text = user_data(each.api, one["InstanceId"])
        assert text.startswith("#cloud-config\n"), host
        assert len(text.encode()) <= USER_DATA_LIMIT, host
        assert {"write_files", "runcmd"} <= yaml.safe_load(text).keys(), host


def test_no_secret_s_value_is_in_user_data_or_a_tag(each: Stack, hosts: dict[str, Resource]) -> None:
    listed = each.api.secrets.list_secrets()["SecretList"]
    values = [each.api.secrets.get_secret_value(SecretId=one.get("ARN", ""))["SecretString"] for one in listed]
    assert len(values) == 7
    seen = [user_data(each.api, one["InstanceId"]) for one in hosts.values()]
    seen += [tag["Value"] for tag in each.api.describe("tags")]
    assert [text[:60] for text in seen for value in values if value in text] == []
    assert planted(values[0], [*seen, f"password: {values[0]}"]), "the check fires where there is one"


def planted(value: str, texts: list[str]) -> bool:
    return any(value in text for text in texts)
