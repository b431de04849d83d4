"""Looks up instances by address in the API. Results are cached until a call changes something."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from lab.aws_clients import internal_clients

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, SubnetTypeDef
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

_LIVE_STATES = ["pending", "running", "stopping", "shutting-down"]
_CACHED_SERVICES = frozenset({"ec2", "iam"})

InstanceLookup = Callable[[str], str | None]
"""Returns the id of the instance whose packets come from a private address."""


class MotoClients:
    """boto3 clients of the moto server, made when first needed. Their calls block: call them in threads."""

    def __init__(self, address: str) -> None:
        """`address`: `lab.moto_address`."""
        self._lock = threading.Lock()
        self._factory = internal_clients(address)
        self._config = Config(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=30)
        self._cache: dict[tuple[str, str], Any] = {}

    def ec2(self, region: str) -> "EC2Client":
        """Returns an EC2 client for `region`."""
        return self._client("ec2", region)

    @property
    def iam(self) -> "IAMClient":
        """Returns an IAM client; IAM has no regions."""
        return self._client("iam")

    @property
    def s3(self) -> "S3Client":
        """Returns an S3 client; any region works."""
        return self._client("s3")

    def secrets(self, region: str) -> "SecretsManagerClient":
        """Returns a Secrets Manager client for `region`."""
        return self._client("secretsmanager", region)

    @property
    def sts(self) -> "STSClient":
        """Returns an STS client; any region works."""
        return self._client("sts")

    @property
    def route53(self) -> "Route53Client":
        """Returns a Route 53 client; Route 53 has no regions."""
        return self._client("route53")

    def _client(self, service: str, region: str = "us-east-1") -> Any:
        with self._lock:
            if (service, region) not in self._cache:
                self._cache[service, region] = self._factory.client(service, region, self._config)
            return self._cache[service, region]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """An instance's profile and its role (`role_*` is empty if the profile has no role)."""

    arn: str
    id: str
    role_name: str = ""
    role_arn: str = ""


@dataclass(frozen=True, kw_only=True)
class InstanceInfo:
    """An instance, and what else its metadata contains: its network, image and profile."""

    region: str
    account: str
    reservation: str
    instance: "InstanceTypeDef"
    subnet: "SubnetTypeDef | None" = None
    vpc_cidrs: tuple[str, ...] = ()
    profile: Profile | None = None

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.instance.get("InstanceId", "")

    @property
    def tags(self) -> Mapping[str, str]:
        """The instance's tags."""
        return {tag.get("Key", ""): tag.get("Value", "") for tag in self.instance.get("Tags", [])}


@dataclass(kw_only=True)
class Inventory:
    """Finds instances by the private address that their packets come from."""

    clients: MotoClients
    lookup: InstanceLookup | None = None
    regions: set[str] = field(default_factory=set[str])
    """The regions in which changes were made."""
    _cache: dict[str, InstanceInfo] = field(default_factory=dict[str, InstanceInfo])
    _generation: int = 0

    def invalidate(self, region: str, service: str) -> None:
        """Drops cached results. Must be called after every change."""
        if service == "ec2" and region:
            self.regions.add(region)
        if service in _CACHED_SERVICES:
            self._generation += 1
            self._cache.clear()

    async def instance_at(self, address: str) -> InstanceInfo | None:
        """Returns the instance with that private address, or None if there is none or it is off."""
        known = self._cache.get(address)
        if known is not None:
            return known
        generation = self._generation
        facts = await asyncio.to_thread(self._read, address)
        if facts is not None and generation == self._generation:
            self._cache[address] = facts
        return facts

    async def user_data(self, instance_info: InstanceInfo) -> str:
        """Returns the instance's user data in base64; empty if it has none."""
        client = self.clients.ec2(instance_info.region)
        answer = await asyncio.to_thread(client.describe_instance_attribute, InstanceId=instance_info.id, Attribute="userData")
        return answer.get("UserData", {}).get("Value", "")

    def _read(self, address: str) -> InstanceInfo | None:
        instance_id = self.lookup(address) if self.lookup is not None else None
        for region in sorted(self.regions):
            found = self._find(region, address, instance_id)
            if found is not None:
                return found
        return None

    def _find(self, region: str, address: str, instance_id: str | None) -> InstanceInfo | None:
        ec2 = self.clients.ec2(region)
        name, value = ("instance-id", instance_id) if instance_id else ("private-ip-address", address)
        reservations = ec2.describe_instances(
            Filters=[{"Name": name, "Values": [value]}, {"Name": "instance-state-name", "Values": _LIVE_STATES}]
        )["Reservations"]
        for reservation in reservations:
            for instance in reservation.get("Instances", []):
                subnet, cidrs = self._network(region, instance)
                return InstanceInfo(
                    region=region,
                    account=reservation.get("OwnerId", ""),
                    reservation=reservation.get("ReservationId", ""),
                    instance=instance,
                    subnet=subnet,
                    vpc_cidrs=cidrs,
                    profile=self._profile(region, instance.get("InstanceId", "")),
                )
        return None

    def _network(self, region: str, instance: "InstanceTypeDef") -> "tuple[SubnetTypeDef | None, tuple[str, ...]]":
        ec2 = self.clients.ec2(region)
        subnets = ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": [instance.get("SubnetId", "")]}])["Subnets"]
        vpcs = ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [instance.get("VpcId", "")]}])["Vpcs"]
        cidrs = [block.get("CidrBlock", "") for vpc in vpcs for block in vpc.get("CidrBlockAssociationSet", [])]
        return (subnets[0] if subnets else None), tuple(cidrs)

    def _profile(self, region: str, instance_id: str) -> Profile | None:
        # After ReplaceIamInstanceProfileAssociation, moto's DescribeInstances still shows the old profile; the associations are correct.
        answer = self.clients.ec2(region).describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [instance_id]}, {"Name": "state", "Values": ["associated"]}]
        )
        for association in answer["IamInstanceProfileAssociations"]:
            arn = association.get("IamInstanceProfile", {}).get("Arn", "")
            profile = self.clients.iam.get_instance_profile(InstanceProfileName=arn.rpartition("/")[2])["InstanceProfile"]
            role = next(iter(profile["Roles"]), None)
            return Profile(
                arn=arn,
                id=profile["InstanceProfileId"],
                role_name=role["RoleName"] if role else "",
                role_arn=role["Arn"] if role else "",
            )
        return None
