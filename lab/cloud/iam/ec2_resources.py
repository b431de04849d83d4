"""Tables of the resources that EC2's calls act on and create.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from collections.abc import Mapping

REFERENCED_RESOURCES: Mapping[str, Mapping[str, str]] = {
    "AssociateAddress": {"AllocationId": "elastic-ip", "InstanceId": "instance", "NetworkInterfaceId": "network-interface"},
    "AssociateIamInstanceProfile": {"InstanceId": "instance"},
    "AssociateRouteTable": {"RouteTableId": "route-table", "SubnetId": "subnet", "GatewayId": ""},
    "AttachInternetGateway": {"InternetGatewayId": "internet-gateway", "VpcId": "vpc"},
    "AttachVolume": {"VolumeId": "volume", "InstanceId": "instance"},
    "AuthorizeSecurityGroupEgress": {"GroupId": "security-group"},
    "AuthorizeSecurityGroupIngress": {"GroupId": "security-group"},
    "CreateFlowLogs": {"ResourceId": ""},
    "CreateNatGateway": {"SubnetId": "subnet", "AllocationId": "elastic-ip"},
    "CreateRoute": {"RouteTableId": "route-table"},
    "CreateRouteTable": {"VpcId": "vpc"},
    "CreateSecurityGroup": {"VpcId": "vpc"},
    "CreateSubnet": {"VpcId": "vpc"},
    "CreateVpcEndpoint": {"VpcId": "vpc", "RouteTableId": "route-table", "SecurityGroupId": "security-group", "SubnetId": "subnet"},
    "DeleteFlowLogs": {"FlowLogId": "vpc-flow-log"},
    "DeleteInternetGateway": {"InternetGatewayId": "internet-gateway"},
    "DeleteNatGateway": {"NatGatewayId": "natgateway"},
    "DeleteRoute": {"RouteTableId": "route-table"},
    "DeleteRouteTable": {"RouteTableId": "route-table"},
    "DeleteSecurityGroup": {"GroupId": "security-group"},
    "DeleteSnapshot": {"SnapshotId": "snapshot"},
    "DeleteSubnet": {"SubnetId": "subnet"},
    "DeleteVolume": {"VolumeId": "volume"},
    "DeleteVpc": {"VpcId": "vpc"},
    "DeleteVpcEndpoints": {"VpcEndpointId": "vpc-endpoint"},
    "DescribeInstanceAttribute": {"InstanceId": "instance"},
    "DescribeVpcAttribute": {"VpcId": "vpc"},
    "DetachInternetGateway": {"InternetGatewayId": "internet-gateway", "VpcId": "vpc"},
    "DetachVolume": {"VolumeId": "volume", "InstanceId": "instance"},
    "DisassociateAddress": {"AllocationId": "elastic-ip", "NetworkInterfaceId": "network-interface"},
    "ModifyInstanceAttribute": {"InstanceId": "instance", "GroupId": "security-group"},
    "ModifyInstanceMetadataOptions": {"InstanceId": "instance"},
    "ModifySecurityGroupRules": {"GroupId": "security-group", r"SecurityGroupRule\.\d+\.SecurityGroupRuleId": "security-group-rule"},
    "ModifySubnetAttribute": {"SubnetId": "subnet"},
    "ModifyVolume": {"VolumeId": "volume"},
    "ModifyVpcAttribute": {"VpcId": "vpc"},
    "ModifyVpcEndpoint": {"VpcEndpointId": "vpc-endpoint", "AddRouteTableId": "route-table", "RemoveRouteTableId": "route-table"},
    "RebootInstances": {"InstanceId": "instance"},
    "ReleaseAddress": {"AllocationId": "elastic-ip"},
    "ReplaceRoute": {"RouteTableId": "route-table"},
    "RevokeSecurityGroupEgress": {"GroupId": "security-group"},
    "RevokeSecurityGroupIngress": {"GroupId": "security-group"},
    "StartInstances": {"InstanceId": "instance"},
    "StopInstances": {"InstanceId": "instance"},
    "TerminateInstances": {"InstanceId": "instance"},
}
"""By call: the parameters that name resources, and their kind (empty: derived from the id). Each named resource must be allowed."""

CREATED_RESOURCES: Mapping[str, tuple[str, ...]] = {
    "AllocateAddress": ("elastic-ip",),
    "AuthorizeSecurityGroupEgress": ("security-group-rule",),
    "AuthorizeSecurityGroupIngress": ("security-group-rule",),
    "CreateFlowLogs": ("vpc-flow-log",),
    "CreateInternetGateway": ("internet-gateway",),
    "CreateNatGateway": ("natgateway",),
    "CreateRouteTable": ("route-table",),
    "CreateSecurityGroup": ("security-group",),
    "CreateSubnet": ("subnet",),
    "CreateVolume": ("volume",),
    "CreateVpc": ("vpc",),
    "CreateVpcEndpoint": ("vpc-endpoint",),
}
"""By call: the kinds of resources that it creates. A security group rule counts as created only if the call tags it."""

RESOURCE_TYPES: Mapping[str, str] = {
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "fl": "vpc-flow-log",
    "i": "instance",
    "igw": "internet-gateway",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
"""Kinds of resources by the prefix of their ids."""
