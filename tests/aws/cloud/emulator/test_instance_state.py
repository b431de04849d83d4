"""Instances start, stop and end only when their machines do."""

import json
import urllib.error
import urllib.request

import pytest

from lab.cloud.internal_api import REGIONS_PATH
from tests.aws.cloud.support import Network, refused, report_event


def test_a_stopping_instance_is_stopped_only_when_its_machine_is(api: str, network: Network) -> None:
    instance = network.launch()
    network.ec2.stop_instances(InstanceIds=[instance])
    assert network.state(instance) == "stopping"
    assert refused(network.ec2.start_instances, InstanceIds=[instance]) == "IncorrectInstanceState"
    assert report_event(api, instance, "stopped") == "stopped"
    assert network.state(instance) == "stopped"
    assert report_event(api, instance, "stopped") == "stopped", "a report may be repeated"


def test_a_terminated_instance_keeps_its_address_until_its_machine_is_gone(api: str, network: Network) -> None:
    instance = network.launch("10.20.1.10")
    network.ec2.terminate_instances(InstanceIds=[instance])
    assert network.state(instance) == "shutting-down"
    assert refused(network.launch, address="10.20.1.10") == "InvalidIPAddress.InUse"
    assert report_event(api, instance, "terminated") == "terminated"
    assert network.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert network.ec2.describe_volumes()["Volumes"] == []
    network.launch("10.20.1.10")


def test_a_machine_that_powers_itself_off_is_stopped_or_terminated_as_its_launch_said(api: str, network: Network) -> None:
    stays = network.launch()
    goes = network.launch(InstanceInitiatedShutdownBehavior="terminate")
    assert report_event(api, stays, "stopped") == "stopped"
    assert report_event(api, goes, "stopped") == "shutting-down", "until its root disk is gone too"
    assert report_event(api, goes, "terminated") == "terminated"


def test_a_report_of_an_unknown_instance_is_not_found(api: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        report_event(api, "i-0123456789abcdef0", "stopped")


def test_a_start_renews_the_launch_time_and_shows_whole_seconds(api: str, network: Network) -> None:
    instance = network.launch()
    first = network.instance(instance)["LaunchTime"]
    network.ec2.stop_instances(InstanceIds=[instance])
    report_event(api, instance, "stopped")
    network.ec2.start_instances(InstanceIds=[instance])
    again = network.instance(instance)["LaunchTime"]
    assert again >= first
    assert (first.microsecond, again.microsecond) == (0, 0)


def test_an_instance_is_pending_until_its_machine_is_switched_on(api: str, network: Network) -> None:
    instance = network.launch(started=False)
    volume = network.ec2.create_volume(AvailabilityZone="eu-west-1a", Size=8)["VolumeId"]
    assert network.state(instance) == "pending"
    assert refused(network.ec2.stop_instances, InstanceIds=[instance]) == "IncorrectInstanceState"
    assert refused(network.ec2.attach_volume, VolumeId=volume, InstanceId=instance, Device="/dev/sdf") == "IncorrectState"
    assert report_event(api, instance, "started") == "running"
    network.ec2.stop_instances(InstanceIds=[instance])
    assert report_event(api, instance, "started") == "stopping", "a late report changes nothing"
    report_event(api, instance, "stopped")
    assert network.ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]["CurrentState"]["Name"] == "pending"
    assert network.state(instance) == "pending"
    assert network.ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]["PreviousState"]["Name"] == "pending"
    assert report_event(api, instance, "started") == "running"


def test_the_regions_in_use_are_those_where_somebody_made_something(api: str, network: Network) -> None:
    network.ec2.describe_instances()
    with urllib.request.urlopen(f"{api}{REGIONS_PATH}") as answer:
        assert json.load(answer) == {"regions": ["eu-west-1"]}
