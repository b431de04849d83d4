"""The network: a VPC with three tiers of subnets, ways out, the way to S3, and a log of what was refused or let through."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stack.addressing import ANY_IPV4, TIERS, Tier
from stack.component import Component
from stack.environment import Environment
from stack.roles import load_balancer
from stack.zones import pick_zone, require_zones_unchanged


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What the network is made from. `bucket_arn` is the artifact bucket's, for the S3 endpoint's policy."""

    environment: Environment
    bucket_arn: pulumi.Input[str]


class Network(Component):
    """The VPC and everything that moves its packets."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._environment = args.environment
        environment, resource = args.environment, args.environment.resource_name
        self.vpc = aws.ec2.Vpc(
            resource("network"),
            cidr_block=environment.settings.network.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tags("network"),
            opts=self.child(),
        )
        self.vpc_id = self.vpc.id
        self._account = self.vpc.arn.apply(lambda arn: arn.split(":")[4])
        self._load_balancer_zones = {
            environment.address_plan.zone_of(number) for number in load_balancer.SPEC.numbers(environment.settings)
        }
        self.subnets: dict[tuple[Tier, int], aws.ec2.Subnet] = {}
        for tier in TIERS:
            for zone in range(len(environment.zones)):
                self.subnets[tier, zone] = self._subnet(tier, zone)
        # Those that the network is in, which stay whatever the region's list says.
        self.zones = pulumi.Output.all(*(self.subnets[TIERS[0], zone].availability_zone for zone in range(len(environment.zones))))
        self.zones.apply(lambda zones: require_zones_unchanged(zones, environment.settings.network.zone_names))
        self._route_resources: dict[tuple[Tier, int], list[pulumi.Resource]] = {}
        tables = self._public_routes() + self._private_routes()
        self.s3_endpoint = self._create_s3_endpoint(tables, args.bucket_arn)
        aws.ec2.DefaultSecurityGroup(
            resource("default-firewall"), vpc_id=self.vpc.id, ingress=[], egress=[], tags=self._tags("default-firewall"), opts=self.child()
        )
        self._flow_log()
        self.register_outputs({"vpc_id": self.vpc_id})

    def subnet_arns(self, tier: Tier) -> list[pulumi.Output[str]]:
        """The ARNs of a tier's subnets."""
        return [subnet.arn for (whose, _), subnet in self.subnets.items() if whose == tier]

    def subnet(self, tier: Tier, zone: int) -> aws.ec2.Subnet:
        """The subnet of a tier in a zone, counted from 0."""
        return self.subnets[tier, zone]

    def boot_dependencies(self, tier: Tier, zone: int) -> list[pulumi.Resource]:
        """What must exist before a host of that subnet boots: its routes, their association, and the way to S3."""
        return [*self._route_resources[tier, zone], self.s3_endpoint]

    def _tags(self, suffix: str) -> dict[str, str]:
        return self._environment.tags("network", self._environment.resource_name(suffix))

    def _subnet(self, tier: Tier, zone: int) -> aws.ec2.Subnet:
        suffix = f"{tier}-{zone + 1}"
        return aws.ec2.Subnet(
            self._environment.resource_name(suffix),
            vpc_id=self.vpc.id,
            cidr_block=str(self._environment.address_plan.subnet(tier, zone)),
            availability_zone=self._subnet_zone(zone) if tier == TIERS[0] else self.subnets[TIERS[0], zone].availability_zone,
            # A load balancer must reach the API before it holds the Elastic IP; where none is, nobody needs a public address.
            map_public_ip_on_launch=tier == "public" and zone in self._load_balancer_zones,
            tags=self._tags(suffix),
            # AWS adds and withdraws zones. To follow its list would replace the subnet, and with it every volume and host in it.
            opts=self.child(ignore_changes=["availabilityZone"]),
        )

    def _subnet_zone(self, number: int) -> pulumi.Input[str]:
        """The zone of the first subnet of a number; the others of the number are where that one is."""
        environment = self._environment
        if number == 0:
            return environment.zones[0]
        named = environment.settings.network.zone_names
        before = [self.subnets[TIERS[0], earlier].availability_zone for earlier in range(number)]

        def choose(used: list[str]) -> str:
            require_zones_unchanged(used, named)
            return pick_zone(environment.zones[number], used, environment.region_zones)

        return pulumi.Output.all(*before).apply(choose)

    def _route_table(self, suffix: str) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(self._environment.resource_name(suffix), vpc_id=self.vpc.id, tags=self._tags(suffix), opts=self.child())

    def _associate(self, tier: Tier, zone: int, table: aws.ec2.RouteTable, route: aws.ec2.Route) -> None:
        association = aws.ec2.RouteTableAssociation(
            self._environment.resource_name(f"{tier}-{zone + 1}-routes"),
            subnet_id=self.subnets[tier, zone].id,
            route_table_id=table.id,
            opts=self.child(),
        )
        self._route_resources[tier, zone] = [route, association]

    def _public_routes(self) -> list[aws.ec2.RouteTable]:
        resource = self._environment.resource_name
        self._gateway = aws.ec2.InternetGateway(resource("gateway"), vpc_id=self.vpc.id, tags=self._tags("gateway"), opts=self.child())
        table = self._route_table("public-routes")
        route = aws.ec2.Route(
            resource("public-internet"),
            route_table_id=table.id,
            destination_cidr_block=ANY_IPV4,
            gateway_id=self._gateway.id,
            opts=self.child(),
        )
        for zone in range(len(self._environment.zones)):
            self._associate("public", zone, table, route)
        return [table]

    def _private_routes(self) -> list[aws.ec2.RouteTable]:
        resource, zones = self._environment.resource_name, len(self._environment.zones)
        gateways = [self._nat_gateway(zone) for zone in range(zones if self._environment.settings.network.nat == "per-az" else 1)]
        tables: list[aws.ec2.RouteTable] = []
        for zone in range(zones):
            table = self._route_table(f"private-{zone + 1}-routes")
            route = aws.ec2.Route(
                resource(f"private-{zone + 1}-internet"),
                route_table_id=table.id,
                destination_cidr_block=ANY_IPV4,
                nat_gateway_id=gateways[zone % len(gateways)].id,
                opts=self.child(),
            )
            for tier in ("app", "data"):
                self._associate(tier, zone, table, route)
            tables.append(table)
        return tables

    def _nat_gateway(self, zone: int) -> aws.ec2.NatGateway:
        suffix = f"nat-{zone + 1}"
        address = aws.ec2.Eip(
            self._environment.resource_name(f"{suffix}-address"),
            domain="vpc",
            tags=self._tags(f"{suffix}-address"),
            opts=self.child(depends_on=[self._gateway]),
        )
        # A NAT gateway works only once its subnet's way to the internet is there.
        return aws.ec2.NatGateway(
            self._environment.resource_name(suffix),
            allocation_id=address.id,
            subnet_id=self.subnets["public", zone].id,
            # Settable, and a change replaces: `private_ip` in terraform-provider-aws, internal/service/ec2/vpc_nat_gateway.go.
            private_ip=str(self._environment.address_plan.nat(zone)),
            tags=self._tags(suffix),
            opts=self.child(depends_on=[self._gateway, *self._route_resources["public", zone]]),
        )

    def _create_s3_endpoint(self, tables: list[aws.ec2.RouteTable], bucket_arn: pulumi.Input[str]) -> aws.ec2.VpcEndpoint:
        environment = self._environment
        agent = f"arn:{environment.partition}:s3:::amazon-ssm-{environment.region}/*"

        def policy(values: list[str]) -> str:
            bucket, account = values
            return json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "Artifacts",
                            "Effect": "Allow",
                            "Principal": "*",
                            "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
                            "Resource": [bucket, f"{bucket}/*"],
                            "Condition": {"StringEquals": {"aws:PrincipalAccount": account}},
                        },
                        # Fetched without credentials, so no condition can name who asks.
                        {"Sid": "SessionManagerAgent", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": agent},
                    ],
                }
            )

        return aws.ec2.VpcEndpoint(
            environment.resource_name("s3"),
            vpc_id=self.vpc.id,
            service_name=f"com.amazonaws.{environment.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            policy=pulumi.Output.all(bucket_arn, self._account).apply(policy),
            tags=self._tags("s3"),
            opts=self.child(),
        )

    def _flow_log(self) -> None:
        resource = self._environment.resource_name
        group = aws.cloudwatch.LogGroup(
            resource("flow-logs"),
            retention_in_days=self._environment.settings.network.flow_log_days,
            tags=self._tags("flow-logs"),
            opts=self.child(),
        )
        role = aws.iam.Role(
            resource("flow-logs"),
            description="Lets VPC flow logs write into their log group",
            assume_role_policy=self._account.apply(self._flow_log_trust),
            permissions_boundary=self._environment.settings.environment.permissions_boundary,
            tags=self._tags("flow-logs"),
            opts=self.child(),
        )
        # No right to create groups: a deleted group would come back, without its retention and owned by nobody.
        policy = aws.iam.RolePolicy(
            resource("flow-logs"),
            role=role.name,
            policy=group.arn.apply(
                lambda arn: json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                                "Resource": [arn, f"{arn}:*"],
                            }
                        ],
                    }
                )
            ),
            opts=self.child(),
        )
        aws.ec2.FlowLog(
            resource("flow-log"),
            vpc_id=self.vpc.id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=60,
            tags=self._tags("flow-log"),
            opts=self.child(depends_on=[policy]),
        )

    def _flow_log_trust(self, account: str) -> str:
        """Trust in the service for this account's flow logs alone: it works for every account, and another's log is not ours to write.

        As AWS advises: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
        """
        logs = f"arn:{self._environment.partition}:ec2:{self._environment.region}:{account}:vpc-flow-log/*"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": logs}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
