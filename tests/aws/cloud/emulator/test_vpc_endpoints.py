"""Endpoints of a VPC."""

from tests.aws.cloud.support import Network, client, refused


def test_a_deleted_endpoint_is_gone_and_a_gateway_one_has_no_private_dns(network: Network) -> None:
    ec2 = network.ec2
    made = ec2.create_vpc_endpoint(VpcId=network.vpc, ServiceName="com.amazonaws.eu-west-1.s3")["VpcEndpoint"]
    assert made["PrivateDnsEnabled"] is False
    ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
    assert ec2.describe_vpc_endpoints()["VpcEndpoints"] == []
    assert refused(ec2.describe_vpc_endpoints, VpcEndpointIds=[made["VpcEndpointId"]]) == "InvalidVpcEndpointId.NotFound"


def test_endpoints_can_be_had_for_s3_by_gateway_and_for_others_by_interface(api: str) -> None:
    details = client("ec2", api).describe_vpc_endpoint_services()["ServiceDetails"]
    kinds = {(detail["ServiceName"], kind["ServiceType"]) for detail in details for kind in detail["ServiceType"]}
    assert {("com.amazonaws.eu-west-1.s3", "Gateway"), ("com.amazonaws.eu-west-1.secretsmanager", "Interface")} <= kinds
