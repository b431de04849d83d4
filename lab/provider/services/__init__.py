"""The handlers of every implemented type, by token: one small module for each AWS service."""

from __future__ import annotations

from typing import Final

from lab.provider.services import (
    endpoints,
    gateways,
    iam,
    instances,
    kms,
    logs,
    random_provider,
    route53,
    routes,
    s3_bucket,
    s3_object,
    s3_settings,
    secrets_manager,
    security_group_rules,
    security_groups,
    subnets,
    volumes,
    vpc,
)
from lab.provider.services.base import Handler

_AWS: Final[tuple[Handler, ...]] = (
    vpc.Vpc(),
    vpc.DhcpOptions(),
    vpc.DhcpOptionsAssociation(),
    subnets.Subnet(),
    gateways.InternetGateway(),
    gateways.Eip(),
    gateways.NatGateway(),
    security_groups.SecurityGroup(),
    security_groups.DefaultSecurityGroup(),
    security_group_rules.IngressRule(),
    security_group_rules.EgressRule(),
    instances.Instance(),
    volumes.Volume(),
    volumes.VolumeAttachment(),
    routes.RouteTable(),
    routes.Route(),
    routes.RouteTableAssociation(),
    endpoints.VpcEndpoint(),
    endpoints.FlowLog(),
    iam.Role(),
    iam.RolePolicy(),
    iam.RolePolicyAttachment(),
    iam.InstanceProfile(),
    s3_bucket.Bucket(),
    s3_bucket.BucketPublicAccessBlock(),
    s3_bucket.BucketPolicy(),
    s3_bucket.BucketOwnershipControls(),
    s3_settings.BucketVersioning(),
    s3_settings.BucketEncryption(),
    s3_settings.BucketLifecycle(),
    s3_object.BucketObject(),
    secrets_manager.Secret(),
    secrets_manager.SecretVersion(),
    secrets_manager.SecretPolicy(),
    route53.Zone(),
    route53.Record(),
    logs.LogGroup(),
    kms.Key(),
    kms.Alias(),
)
_RANDOM: Final[tuple[Handler, ...]] = (
    random_provider.RandomPassword(),
    random_provider.RandomString(),
    random_provider.RandomId(),
    random_provider.RandomPet(),
)

AWS: Final[dict[str, Handler]] = {handler.resource_type: handler for handler in _AWS}
RANDOM: Final[dict[str, Handler]] = {handler.resource_type: handler for handler in _RANDOM}
