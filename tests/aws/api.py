"""The AWS API as an auditor asks it, by boto3."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

REGION = "eu-central-1"

Resource = dict[str, Any]
"""A thing as the API describes it."""

Listing = dict[str, list[str]]
"""The names of what exists, by kind."""


@dataclass(frozen=True)
class Api:
    """An API by its endpoint."""

    endpoint: str

    @cached_property
    def ec2(self) -> "EC2Client":
        """A client, made once: that takes longer than most questions."""
        return self._session.client("ec2", endpoint_url=self.endpoint)

    @cached_property
    def s3(self) -> "S3Client":
        """A client that names the bucket in the path: no DNS knows it."""
        return self._session.client("s3", endpoint_url=self.endpoint, config=Config(s3={"addressing_style": "path"}))

    @cached_property
    def iam(self) -> "IAMClient":
        """A client."""
        return self._session.client("iam", endpoint_url=self.endpoint)

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        """A client."""
        return self._session.client("logs", endpoint_url=self.endpoint)

    @cached_property
    def route53(self) -> "Route53Client":
        """A client."""
        return self._session.client("route53", endpoint_url=self.endpoint)

    @cached_property
    def secrets(self) -> "SecretsManagerClient":
        """A client."""
        return self._session.client("secretsmanager", endpoint_url=self.endpoint)

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(aws_access_key_id="auditor", aws_secret_access_key="auditor", region_name=REGION)

    def describe(self, what: str) -> list[Resource]:
        """All that EC2's `describe_<what>` lists; what is deleted stays in such lists for a while and is left out."""
        answer: Resource = getattr(self.ec2, f"describe_{what}")()
        field = _FIELDS.get(what) or "".join(word.capitalize() for word in what.split("_"))
        found: list[Resource] = answer[field]
        return [one for one in found if str(one.get("State") or one.get("state")).lower() != "deleted"]

    def instances(self) -> list[Resource]:
        """Every instance that is not terminated."""
        found: list[Resource] = [one for group in self.describe("instances") for one in group["Instances"]]
        return [one for one in found if one["State"]["Name"] != "terminated"]

    def vpc(self) -> Resource:
        """The stack's own VPC."""
        (own,) = [vpc for vpc in self.describe("vpcs") if not vpc.get("IsDefault")]
        return own

    def bucket(self) -> str:
        """The name of the one bucket."""
        (name,) = _names(self.s3.list_buckets()["Buckets"], "Name")
        return name

    def zone(self) -> Resource:
        """The one DNS zone."""
        (zone,) = self.route53.list_hosted_zones()["HostedZones"]
        return dict(zone)

    def records(self) -> dict[str, list[str]]:
        """The addresses of each name of the zone."""
        found = self.route53.list_resource_record_sets(HostedZoneId=self.zone()["Id"])["ResourceRecordSets"]
        return {
            record["Name"]: sorted(value["Value"] for value in record.get("ResourceRecords", []))
            for record in found
            if record["Type"] == "A"
        }

    def listing(self) -> Listing:
        """What there is; equal listings mean that nothing was left behind and nothing deleted."""
        kinds = {
            what: [_identifier(one) for one in self.describe(what)]
            for what in (
                "vpcs", "subnets", "route_tables", "internet_gateways", "nat_gateways", "vpc_endpoints", "flow_logs", "security_groups",
                "security_group_rules", "network_interfaces", "volumes", "addresses",
            )
        }  # fmt: skip
        iam = self.iam
        roles = [role["RoleName"] for role in iam.list_roles()["Roles"]]
        kinds |= {
            "instances": [one["InstanceId"] for one in self.instances()],
            "roles": roles,
            "role policies": [f"{role}/{name}" for role in roles for name in iam.list_role_policies(RoleName=role)["PolicyNames"]],
            "policies": [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"] if "PolicyName" in policy],
            "instance profiles": [profile["InstanceProfileName"] for profile in iam.list_instance_profiles()["InstanceProfiles"]],
            "buckets": _names(self.s3.list_buckets()["Buckets"], "Name"),
            "secrets": _names(self.secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"], "Name"),
            "zones": [zone["Name"] for zone in self.route53.list_hosted_zones()["HostedZones"]],
            "log groups": _names(self.logs.describe_log_groups()["logGroups"], "logGroupName"),
        }
        return {kind: sorted(names) for kind, names in kinds.items()}


_FIELDS = {"instances": "Reservations"}

_IDENTIFIERS = (
    "SecurityGroupRuleId", "NetworkInterfaceId", "NatGatewayId", "VpcEndpointId", "FlowLogId", "RouteTableId", "InternetGatewayId",
    "SubnetId", "GroupId", "VolumeId", "AllocationId", "VpcId",
)  # fmt: skip
"""The most particular first: a subnet names its VPC too."""


def tags(resource: Resource) -> dict[str, str]:
    """A thing's tags, of either spelling."""
    found: list[dict[str, str]] = resource.get("Tags") or resource.get("TagSet") or []
    return {tag["Key"]: tag["Value"] for tag in found}


def _identifier(resource: Resource) -> str:
    return next(str(resource[name]) for name in _IDENTIFIERS if name in resource)


def _names(found: Iterable[Any], field: str) -> list[str]:
    return [str(one[field]) for one in found]
