"""The handlers of every implemented type, by token: one small module for each AWS service."""

from __future__ import annotations

from typing import Final

from lab.provider.services import gateways, instances, security_group_rules, security_groups, subnets, volumes, vpc
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
)
_RANDOM: Final[tuple[Handler, ...]] = ()

AWS: Final[dict[str, Handler]] = {handler.kind: handler for handler in _AWS}
RANDOM: Final[dict[str, Handler]] = {handler.kind: handler for handler in _RANDOM}
