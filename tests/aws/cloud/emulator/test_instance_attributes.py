"""Changes of an instance that is there."""

from tests.aws.cloud.support import Network, refused, report_event


def test_user_data_and_type_change_only_while_stopped(api: str, network: Network) -> None:
    instance = network.launch(UserData="#cloud-config\n")
    assert refused(network.ec2.modify_instance_attribute, InstanceId=instance, UserData={"Value": b"new"}) == "IncorrectInstanceState"
    network.ec2.stop_instances(InstanceIds=[instance])
    report_event(api, instance, "stopped")
    network.ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": b"new: \xc3\xa9\n"})
    answer = network.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
    assert answer["UserData"]["Value"] == "bmV3OiDDqQo=", "once base64, as RunInstances' is"
    assert (
        refused(network.ec2.modify_instance_attribute, InstanceId=instance, InstanceType={"Value": "t4g.small"}) == "InvalidParameterValue"
    )


def test_metadata_options_that_a_change_does_not_name_stay(network: Network) -> None:
    instance = network.launch(MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"})
    network.ec2.modify_instance_metadata_options(InstanceId=instance, HttpPutResponseHopLimit=2)
    options = network.instance(instance)["MetadataOptions"]
    kept = (options["HttpTokens"], options["HttpPutResponseHopLimit"], options["HttpEndpoint"], options["InstanceMetadataTags"])
    assert kept == ("required", 2, "enabled", "enabled")
