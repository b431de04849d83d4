"""Availability zones."""

from __future__ import annotations

from typing import Any, cast

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.handler import Function


class GetAvailabilityZones(Function):
    """`aws.get_availability_zones`."""

    def invoke(self, client: ApiClient, arguments: Props) -> Props:
        found = [
            zone
            for zone in client.list_all("ec2.describe_availability_zones", "AvailabilityZones", Filters=_filters(arguments))
            if arguments.get("state") in (None, zone.get("State"))
            and zone["ZoneName"] not in (arguments.get("excludeNames") or [])
            and zone["ZoneId"] not in (arguments.get("excludeZoneIds") or [])
        ]
        found.sort(key=lambda zone: zone["ZoneName"])
        return arguments | {
            "id": client.region,
            "region": client.region,
            "names": [zone["ZoneName"] for zone in found],
            "zoneIds": [zone["ZoneId"] for zone in found],
            "groupNames": sorted({zone.get("GroupName") or client.region for zone in found}),
        }


def _filters(arguments: Props) -> list[dict[str, Any]] | None:
    given = cast("list[Props]", arguments.get("filters") or [])
    return [{"Name": item["name"], "Values": item["values"]} for item in given] or None
