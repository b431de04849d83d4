"""What of a launch stays: its groups, its credits, its monitoring."""

from tests.aws.cloud.support import Network, refused, report_event


def test_a_launch_shows_the_groups_of_its_interface_as_the_instances_own_also_after_a_change(network: Network) -> None:
    instance = network.launch()
    assert [group["GroupId"] for group in network.instance(instance)["SecurityGroups"]] == [network.group]
    other = network.ec2.create_security_group(GroupName="other", Description="other", VpcId=network.vpc)["GroupId"]
    interface = network.instance(instance)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[other])
    shown = network.instance(instance)
    for groups in (shown["SecurityGroups"], shown["NetworkInterfaces"][0]["Groups"]):
        assert [group["GroupId"] for group in groups] == [other]
    network.ec2.modify_instance_attribute(InstanceId=instance, Groups=[network.group])
    assert [group["GroupId"] for group in network.instance(instance)["NetworkInterfaces"][0]["Groups"]] == [network.group]


def test_credits_and_monitoring_are_kept(api: str, network: Network) -> None:
    ec2, instance = network.ec2, network.launch()

    def shown() -> str:
        return ec2.describe_instance_credit_specifications(InstanceIds=[instance])["InstanceCreditSpecifications"][0]["CpuCredits"]

    assert shown() == "unlimited"
    ec2.modify_instance_credit_specification(InstanceCreditSpecifications=[{"InstanceId": instance, "CpuCredits": "standard"}])
    assert shown() == "standard"
    ec2.monitor_instances(InstanceIds=[instance])
    assert network.instance(instance)["Monitoring"]["State"] == "enabled"
    ec2.stop_instances(InstanceIds=[instance])
    report_event(api, instance, "stopped")
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "m5.large"})
    assert refused(ec2.describe_instance_credit_specifications, InstanceIds=[instance]) == "InstanceCreditSpecification.NotSupported"
