"""Flow logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Handler, ignore_missing, retag, tag_map, tag_specifications
from lab.provider.rules.model import TypeRules, Violation, as_list, name_set
from lab.provider.rules.validators import arn, one_of

_SOURCES: Final = {
    "vpcId": "VPC",
    "subnetId": "Subnet",
    "eniId": "NetworkInterface",
    "transitGatewayId": "TransitGateway",
    "transitGatewayAttachmentId": "TransitGatewayAttachment",
}


def _flow_log_violations(props: dict[str, Any]) -> Iterator[Violation]:
    kind = props.get("logDestinationType", "cloud-watch-logs")
    if kind == "cloud-watch-logs" and "iamRoleArn" not in props:
        yield Violation("iamRoleArn", "delivery to CloudWatch Logs needs the ARN of a role")
    if "logDestination" not in props:
        yield Violation("logDestination", "where the records go must be given (an ARN)")


class FlowLog(Handler):
    """`aws.ec2.FlowLog`."""

    label = "EC2 Flow Log"
    rules = TypeRules(
        unsupported=name_set("deliverCrossAccountRole destinationOptions tagFieldSpecifications regionalNatGatewayId"),
        checks={
            "maxAggregationInterval": one_of(60, 600),
            "logDestinationType": one_of("cloud-watch-logs", "s3", "kinesis-data-firehose"),
            "trafficType": one_of("ACCEPT", "REJECT", "ALL"),
            "iamRoleArn": arn,
            "logDestination": arn,
        },
        cross_check=_flow_log_violations,
    )

    def create(self, client: ApiClient, news: Props) -> str:
        operation = "ec2.create_flow_logs"
        source = next(name for name in _SOURCES if news.get(name))
        if not source.startswith("transit") and news.get("trafficType") is None:
            raise client.api_error(operation, "InvalidParameter", "TrafficType is required for a VPC, a subnet or a network interface")
        destination = str(news["logDestination"]).removesuffix(":*")
        kind = news.get("logDestinationType") or "cloud-watch-logs"
        in_logs = kind == "cloud-watch-logs"
        made = client.call(
            operation,
            ResourceIds=[news[source]],
            ResourceType=_SOURCES[source],
            TrafficType=news.get("trafficType"),
            LogDestinationType=kind,
            LogDestination=None if in_logs else destination,
            LogGroupName=destination.rpartition(":log-group:")[2] if in_logs else None,
            DeliverLogsPermissionArn=news.get("iamRoleArn"),
            LogFormat=news.get("logFormat"),
            MaxAggregationInterval=news.get("maxAggregationInterval") or 600,
            TagSpecifications=tag_specifications("vpc-flow-log", news),
        )
        for failure in as_list(made.get("Unsuccessful")):
            raise client.api_error(operation, failure["Error"]["Code"], failure["Error"]["Message"])
        return str(made["FlowLogIds"][0])

    def read(self, client: ApiClient, identifier: str, state: Props) -> Props | None:
        log = client.first("ec2.describe_flow_logs", "FlowLogs", FlowLogIds=[identifier])
        if log is None:
            return None
        given = str(state.get("logDestination") or "").removesuffix(":*")
        group = log.get("LogGroupName")
        destination = log.get("LogDestination") or (client.arn("logs", f"log-group:{group}") if group else given)
        return {
            "arn": client.arn("ec2", f"vpc-flow-log/{identifier}"),
            **{name: log["ResourceId"] if log["ResourceId"] == state.get(name) else state.get(name) for name in _SOURCES},
            "trafficType": log.get("TrafficType"),
            "logDestinationType": log.get("LogDestinationType") or "cloud-watch-logs",
            "logDestination": state["logDestination"] if given == destination else destination,
            "iamRoleArn": log.get("DeliverLogsPermissionArn") or state.get("iamRoleArn"),
            "logFormat": log.get("LogFormat") or state.get("logFormat"),
            "maxAggregationInterval": int(log.get("MaxAggregationInterval") or 600),
            "tagsAll": tag_map(log.get("Tags")),
        }

    def update(self, client: ApiClient, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
        del changed
        retag(client, identifier, olds, news)

    def delete(self, client: ApiClient, identifier: str, state: Props) -> None:
        del state
        ignore_missing(lambda: client.call("ec2.delete_flow_logs", FlowLogIds=[identifier]))
