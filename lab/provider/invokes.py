"""Data sources: what the program asks AWS for without making anything."""

from __future__ import annotations

import functools
import json
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient
from lab.provider.codec import Props
from lab.provider.rules.model import as_list
from lab.provider.servicer import Invoke, InvokeError

DEFAULT_DEBIAN_AMI: Final = "ami-0deb1a0000000013f"
DEBIAN_PARAMETER: Final = "/aws/service/debian/release/13/latest/amd64"


def invokes(debian_ami: str) -> dict[str, Invoke]:
    """All data sources by token; Debian's public parameter names the given image."""
    return {
        "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
        "aws:index/getCallerIdentity:getCallerIdentity": _identity,
        "aws:index/getRegion:getRegion": _region,
        "aws:index/getPartition:getPartition": _partition,
        "aws:ssm/getParameter:getParameter": functools.partial(_parameter, debian_ami),
        "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
        "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
        "aws:ec2/getInstanceTypeOffering:getInstanceTypeOffering": _offering,
        "aws:ec2/getInstanceType:getInstanceType": _instance_type,
        "aws:ec2/getPrefixList:getPrefixList": _prefix_list,
        "aws:ec2/getManagedPrefixList:getManagedPrefixList": _managed_prefix_list,
    }


def _filters(arguments: Props) -> list[dict[str, Any]] | None:
    given = cast("list[Props]", arguments.get("filters") or [])
    return [{"Name": item["name"], "Values": item["values"]} for item in given] or None


def _zones(client: ApiClient, arguments: Props) -> Props:
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


def _identity(client: ApiClient, arguments: Props) -> Props:
    del arguments
    caller = client.call("sts.get_caller_identity")
    return {"id": caller["Account"], "accountId": caller["Account"], "arn": caller["Arn"], "userId": caller["UserId"]}


def _region(client: ApiClient, arguments: Props) -> Props:
    name = arguments.get("region") or arguments.get("name") or client.region
    return {"id": name, "name": name, "region": name, "description": name, "endpoint": f"ec2.{name}.amazonaws.com"}


def _partition(client: ApiClient, arguments: Props) -> Props:
    del client, arguments
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _parameter(debian_ami: str, client: ApiClient, arguments: Props) -> Props:
    name = arguments["name"]
    answer = {"id": name, "region": client.region, "withDecryption": True, **arguments}
    if name == DEBIAN_PARAMETER:
        value, kind, version = debian_ami, "String", 1
        arn = f"arn:aws:ssm:{client.region}::parameter{name}"
    else:
        found = client.find("ssm.get_parameter", Name=name, WithDecryption=arguments.get("withDecryption", True))
        if found is None:
            raise InvokeError("name", f"reading SSM Parameter ({name}): couldn't find resource")
        parameter = found["Parameter"]
        value, kind, version, arn = parameter["Value"], parameter["Type"], parameter["Version"], parameter["ARN"]
    insecure = "" if kind == "SecureString" else value
    return answer | {"arn": arn, "type": kind, "value": value, "insecureValue": insecure, "version": version}


def _policy_document(client: ApiClient, arguments: Props) -> Props:
    del client
    statements = [_statement(item) for item in cast("list[Props]", arguments.get("statements") or [])]
    document: Props = {"Version": arguments.get("version") or "2012-10-17"}
    if arguments.get("policyId"):
        document["Id"] = arguments["policyId"]
    document["Statement"] = statements
    text = json.dumps(document, indent=2)
    return arguments | {"id": str(hash(text) % 2**32), "json": text, "minifiedJson": json.dumps(document, separators=(",", ":"))}


def _statement(given: Props) -> Props:
    made: Props = {"Sid": given["sid"]} if given.get("sid") else {}
    made["Effect"] = given.get("effect") or "Allow"
    for name, key in (("actions", "Action"), ("notActions", "NotAction"), ("resources", "Resource"), ("notResources", "NotResource")):
        if given.get(name):
            made[key] = _scalar_or_list(cast("list[str]", given[name]))
    for name, key in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        principals = cast("list[Props]", given.get(name) or [])
        if any(item["type"] == "*" for item in principals):
            made[key] = "*"
        elif principals:
            made[key] = {item["type"]: _scalar_or_list(item["identifiers"]) for item in principals}
    for condition in cast("list[Props]", given.get("conditions") or []):
        made.setdefault("Condition", {}).setdefault(condition["test"], {})[condition["variable"]] = _scalar_or_list(condition["values"])
    return made


def _scalar_or_list(values: list[str]) -> str | list[str]:
    """As the real provider writes them: one value alone, several sorted downwards."""
    return values[0] if len(values) == 1 else sorted(values, reverse=True)


def _offerings(client: ApiClient, arguments: Props) -> Props:
    found = client.list_all(
        "ec2.describe_instance_type_offerings",
        "InstanceTypeOfferings",
        Filters=_filters(arguments),
        LocationType=arguments.get("locationType") or "region",
    )
    return arguments | {
        "id": client.region,
        "region": client.region,
        "instanceTypes": [item["InstanceType"] for item in found],
        "locations": [item["Location"] for item in found],
        "locationTypes": [item["LocationType"] for item in found],
    }


def _offering(client: ApiClient, arguments: Props) -> Props:
    found = cast("list[str]", _offerings(client, arguments)["instanceTypes"])
    preferred = [kind for kind in cast("list[str]", arguments.get("preferredInstanceTypes") or []) if kind in found]
    if not preferred and len(found) != 1:
        raise InvokeError(
            "filters", "no EC2 Instance Type Offerings found" if not found else "several found; please use a more specific search"
        )
    kind = (preferred or found)[0]
    return arguments | {"id": kind, "region": client.region, "instanceType": kind, "location": client.region, "locationType": "region"}


def _instance_type(client: ApiClient, arguments: Props) -> Props:
    found = client.first("ec2.describe_instance_types", "InstanceTypes", InstanceTypes=[arguments["instanceType"]])
    if found is None:
        raise InvokeError("instanceType", f"no EC2 Instance Type {arguments['instanceType']!r} found")
    processor, memory = found.get("ProcessorInfo", {}), found.get("MemoryInfo", {})
    return arguments | {
        "id": arguments["instanceType"],
        "region": client.region,
        "supportedArchitectures": processor.get("SupportedArchitectures") or [],
        "defaultVcpus": found.get("VCpuInfo", {}).get("DefaultVCpus"),
        "memorySize": memory.get("SizeInMiB"),
        "currentGeneration": found.get("CurrentGeneration"),
        "hypervisor": found.get("Hypervisor"),
        "bareMetal": found.get("BareMetal"),
    }


def _prefix_list(client: ApiClient, arguments: Props) -> Props:
    found = _find_prefix_list(client, arguments, arguments.get("prefixListId"))
    entries = client.call("ec2.get_managed_prefix_list_entries", PrefixListId=found["PrefixListId"]).get("Entries")
    return arguments | {
        "id": found["PrefixListId"],
        "region": client.region,
        "name": found["PrefixListName"],
        "cidrBlocks": [item["Cidr"] for item in as_list(entries)],
    }


def _managed_prefix_list(client: ApiClient, arguments: Props) -> Props:
    found = _find_prefix_list(client, arguments, arguments.get("id"))
    entries = client.call("ec2.get_managed_prefix_list_entries", PrefixListId=found["PrefixListId"]).get("Entries")
    return arguments | {
        "id": found["PrefixListId"],
        "region": client.region,
        "name": found["PrefixListName"],
        "arn": found.get("PrefixListArn"),
        "addressFamily": found.get("AddressFamily") or "IPv4",
        "entries": [{"cidr": item["Cidr"], "description": item.get("Description") or ""} for item in as_list(entries)],
        "maxEntries": found.get("MaxEntries") or len(as_list(entries)),
        "ownerId": found.get("OwnerId") or "AWS",
        "version": found.get("Version") or 1,
        "tags": {},
    }


def _find_prefix_list(client: ApiClient, arguments: Props, identifier: str | None) -> dict[str, Any]:
    for item in client.list_all("ec2.describe_managed_prefix_lists", "PrefixLists"):
        if identifier in (None, item["PrefixListId"]) and arguments.get("name") in (None, item["PrefixListName"]):
            return item
    raise InvokeError("name", f"no EC2 prefix list matches {arguments.get('name') or identifier!r}")
