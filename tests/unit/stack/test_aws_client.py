"""The few calls that the wait for hosts makes."""

from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from stack.aws_client import AwsClient, InstanceState
from stack.aws_config import AwsConfig
from stack.tags import stack_tags


def cloud() -> AwsClient:
    endpoints = {"ec2": "http://127.0.0.1:9/ec2", "s3": "http://127.0.0.1:9"}
    return AwsClient(AwsConfig(region="eu-central-1", access_key="a", secret_key="b", endpoints=endpoints, path_style=True))


def test_clients_go_to_the_stacks_endpoints() -> None:
    assert cloud().ec2.meta.endpoint_url == "http://127.0.0.1:9/ec2"
    assert cloud().s3.meta.endpoint_url == "http://127.0.0.1:9"
    assert cloud().s3.meta.region_name == "eu-central-1"


LAUNCHED = datetime(2026, 1, 1, tzinfo=UTC)
ANSWER = {"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "running", "Code": 16}, "LaunchTime": LAUNCHED}]}]}


def test_an_instance_is_read_with_its_launch_time_and_an_unknown_one_is_none() -> None:
    aws = cloud()
    with Stubber(aws.ec2) as stub:
        stub.add_response("describe_instances", ANSWER, {"InstanceIds": ["i-1"]})
        stub.add_client_error("describe_instances", "InvalidInstanceID.NotFound")
        stub.add_client_error("describe_instances", "UnauthorizedOperation")
        assert aws.describe_instance("i-1") == InstanceState(id="i-1", state="running", launch_time=LAUNCHED)
        assert aws.describe_instance("i-2") is None
        with pytest.raises(Exception, match="UnauthorizedOperation"):
            aws.describe_instance("i-3")


def test_an_instance_is_started() -> None:
    aws = cloud()
    with Stubber(aws.ec2) as stub:
        stub.add_response("start_instances", {"StartingInstances": []}, {"InstanceIds": ["i-1"]})
        aws.start_instance("i-1")
        stub.assert_no_pending_responses()


def test_a_running_host_is_found_by_its_tags() -> None:
    aws = cloud()
    filters = [
        {"Name": "tag:project", "Values": ["webstack"]},
        {"Name": "tag:environment", "Values": ["dev"]},
        {"Name": "tag:stack-id", "Values": ["x7k2"]},
        {"Name": "tag:host", "Values": ["db-1"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    with Stubber(aws.ec2) as stub:
        stub.add_response("describe_instances", ANSWER, {"Filters": filters})
        stub.add_response("describe_instances", {"Reservations": []}, {"Filters": filters})
        found = aws.find_running_host(stack_tags("dev", "x7k2"), "db-1")
        assert found is not None
        assert found.id == "i-1"
        assert aws.find_running_host(stack_tags("dev", "x7k2"), "db-1") is None


def test_a_missing_object_is_none_and_a_forbidden_one_an_error() -> None:
    aws = cloud()
    with Stubber(aws.s3) as stub:
        stub.add_client_error("get_object", "NoSuchKey", http_status_code=404)
        stub.add_client_error("get_object", "AccessDenied", http_status_code=403)
        assert aws.get_object("artifacts", "hosts/x.json") is None
        with pytest.raises(Exception, match="AccessDenied"):
            aws.get_object("artifacts", "hosts/x.json")


def test_whether_an_object_is_there_with_that_content_is_asked_and_a_refusal_is_no_answer() -> None:
    aws = cloud()

    def holds(key: str) -> bool:
        return aws.has_object("artifacts", key, length=7, sha256="ab12")

    with Stubber(aws.s3) as stub:
        for length, metadata in [
            (7, {"content-sha256": "ab12"}),
            (8, {"content-sha256": "ab12"}),
            (7, {"content-sha256": "ab13"}),
            (7, {}),
        ]:
            answer = {"ContentLength": length, "Metadata": metadata}
            stub.add_response("head_object", answer, {"Bucket": "artifacts", "Key": "app/1.tar.gz"})
        stub.add_response("head_object", {"ContentLength": 7}, {"Bucket": "artifacts", "Key": "app/1.tar.gz"})
        stub.add_client_error("head_object", "404", http_status_code=404)
        stub.add_client_error("head_object", "403", http_status_code=403)
        assert [holds("app/1.tar.gz") for _ in range(5)] == [True, False, False, False, False]
        assert not holds("app/2.tar.gz")
        with pytest.raises(Exception, match="403"):
            holds("app/3.tar.gz")
