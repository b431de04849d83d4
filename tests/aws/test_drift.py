"""What somebody changes behind the program's back is seen by a refresh, and the next `up` puts it right."""

from tests.aws.api import Resource, tags
from tests.aws.harness import Stack, replaced


def named(things: list[Resource], name: str) -> Resource:
    (one,) = [thing for thing in things if tags(thing).get("Name") == name]
    return one


def test_drift_is_seen_by_a_refresh_and_put_right_by_the_next_up(dev: Stack) -> None:
    api = dev.api
    web = named(api.instances(), "dev-web-1")["InstanceId"]
    volume = named(api.describe("volumes"), "dev-db-1-data")["VolumeId"]
    rule = named(api.describe("security_group_rules"), "dev-web-to-database-3306-in")
    api.ec2.create_tags(Resources=[volume], Tags=[{"Key": "component", "Value": "stranger"}])
    api.ec2.revoke_security_group_ingress(GroupId=rule["GroupId"], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    api.ec2.terminate_instances(InstanceIds=[web])
    group = api.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [api.vpc()["VpcId"]]}])["SecurityGroups"]
    (default,) = [one.get("GroupId", "") for one in group if one.get("GroupName") == "default"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}
    api.ec2.authorize_security_group_ingress(GroupId=default, **ssh)  # pyright: ignore[reportArgumentType]  # one dict for four types

    dev.refresh()
    repair = [
        ("create", "dev-web-1"),
        ("create", "dev-web-to-database-3306-in"),
        ("update", "dev-db-1-data"),
        ("update", "dev-default-firewall"),
    ]
    name_of_the_hosts = ("update", "dev-web-name")
    assert dev.plan() == [*repair, name_of_the_hosts]
    # The new host's address is known only now. Where it is the old one's, the name stays as it is.
    assert [step for step in dev.up() if step != name_of_the_hosts] == repair

    assert tags(named(api.describe("volumes"), "dev-db-1-data"))["component"] == "database"
    hosts = api.instances()
    assert named(hosts, "dev-web-1")["InstanceId"] != web
    serving = sorted(one["PrivateIpAddress"] for one in hosts if tags(one)["role"] == "web")
    assert api.records()["web.dev.webstack.internal."] == serving
    assert named(api.describe("security_group_rules"), "dev-web-to-database-3306-in")["FromPort"] == 3306
    assert [one for one in api.describe("security_group_rules") if one["GroupId"] == default] == []


def test_what_is_gone_is_made_again_by_an_up_with_a_refresh_alone_and_a_stopped_host_started_by_any_up(dev: Stack) -> None:
    api = dev.api
    web = named(api.instances(), "dev-web-2")["InstanceId"]
    database = named(api.instances(), "dev-db-2")["InstanceId"]
    volume = named(api.describe("volumes"), "dev-db-2-data")["VolumeId"]
    api.ec2.terminate_instances(InstanceIds=[web])
    api.ec2.stop_instances(InstanceIds=[database])
    api.ec2.detach_volume(VolumeId=volume)
    api.ec2.terminate_instances(InstanceIds=[named(api.instances(), "dev-db-1")["InstanceId"]])
    lost = named(api.describe("volumes"), "dev-db-1-data")["VolumeId"]
    api.ec2.delete_volume(VolumeId=lost)
    released = named(api.describe("addresses"), "dev-address")["AllocationId"]
    api.ec2.release_address(AllocationId=released)
    zone = api.zone()["Id"]
    [record] = [
        one
        for one in api.route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        if one["Name"] == "db-2.dev.webstack.internal."
    ]
    deletion = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
    api.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=deletion)  # pyright: ignore[reportArgumentType]

    assert dev.plan() == [], "the engine believes its state"
    waited = dev.failed_up_result(
        "readiness.wait=true", "readiness.timeout=30"
    )  # no machine serves here: every host's wait ends by its time
    assert waited.steps == []
    error = "\n".join(waited.errors)
    assert f"web-2 ({web}) failed: the instance is terminated" in error
    assert "`up --refresh` replaces it" in error
    assert named(api.instances(), "dev-db-2")["State"]["Name"] == "running", "the provider starts no host, the wait does"

    steps = [step for step in dev.up(refresh=True) if step != ("update", "dev-web-name")]
    again = ["address", "db-1", "db-1-data", "db-1-data", "db-2-data", "db-2-name", "web-2"]
    made = [*(("create", f"dev-{name}") for name in again), *replaced("dev-web-1")]
    assert [step for step in steps if step[0] != "update"] == made, "volume and attachment of db-1; web-1 is told another name of the site"
    told = ["db-1-configuration", "lb-1", "lb-1-configuration", "load-balancer"]
    assert [step for step in steps if step[0] == "update"] == [("update", f"dev-{name}") for name in told], "who must know of the new ones"
    attached = named(api.instances(), "dev-db-2")["BlockDeviceMappings"]
    assert volume in [mapping["Ebs"]["VolumeId"] for mapping in attached], "the data is the old one's"
    assert dev.plan() == []
