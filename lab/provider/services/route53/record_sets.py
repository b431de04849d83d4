"""What zones and records share: names, and the record sets of a zone."""

from __future__ import annotations

from typing import Any

from lab.provider.api_client import ApiClient
from lab.provider.rules.model import as_list


def normalize_name(name: str) -> str:
    """A domain name as the real provider compares and keeps it: in lower case, without a dot at its end.

    `normalizeZoneName` and the `StateFunc` of a record's name: terraform-provider-aws, internal/service/route53/zone.go and record.go.
    """
    return name.removesuffix(".").lower()


def listed_name(name: str) -> str:
    """A name as Route 53 lists it, in the provider's spelling: `*` for its escape."""
    return normalize_name(name).replace("\\052", "*")


def record_sets(client: ApiClient, zone: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        page = client.call("route53.list_resource_record_sets", HostedZoneId=zone, **start)
        found.extend(as_list(page.get("ResourceRecordSets")))
        if not page.get("IsTruncated"):
            return found
        start = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}


def find_record_set(client: ApiClient, zone: str, name: str, kind: str) -> dict[str, Any] | None:
    return next((item for item in record_sets(client, zone) if listed_name(item["Name"]) == name and item["Type"] == kind), None)


def change_record_sets(client: ApiClient, zone: str, *changes: tuple[str, dict[str, Any]]) -> None:
    batch = {"Changes": [{"Action": verb, "ResourceRecordSet": item} for verb, item in changes]}
    client.call("route53.change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)
