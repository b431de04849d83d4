"""Records of Route 53.

moto judges a CREATE by its journal and by every name that sorts after it: a record that was made, deleted and made again with the same
values is refused, and one made twice with different values is not. AWS goes by the records that are there; it takes a DELETE only with the
values that the record has, and refuses a batch as a whole.

https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
"""

from typing import Any

from moto.route53.exceptions import Route53ClientError
from moto.route53.models import FakeZone, Route53Backend

from lab.cloud.emulator.patching import original, replace

_change = original(Route53Backend, "change_resource_record_sets")


def install() -> None:
    """Changes of records are judged by the records that are there."""
    replace(Route53Backend, "change_resource_record_sets", _change_records)


def _change_records(backend: Any, zoneid: str, change_list: list[dict[str, Any]]) -> None:
    zone = backend.get_hosted_zone(zoneid)
    problems = [problem for change in change_list if (problem := _problem(zone, change))]
    if problems:
        raise Route53ClientError("InvalidChangeBatch", f"[{', '.join(problems)}]")
    # An earlier CREATE of the same record says nothing about now; moto's check of a DELETE looks for an UPSERT as well.
    for past in zone.rr_changes:
        if past["Action"] == "CREATE":
            past["Action"] = "UPSERT"
    _change(backend, zoneid, change_list)


def _problem(zone: FakeZone, change: dict[str, Any]) -> str:
    """Why AWS would refuse a change; empty where it would not."""
    wanted = change["ResourceRecordSet"]
    name, kind = wanted["Name"].rstrip(".").lower(), wanted["Type"]
    here = [
        record
        for record in zone.rrsets
        if record.name.rstrip(".").lower() == name and record.type == kind and record.set_identifier == wanted.get("SetIdentifier")
    ]
    if change["Action"] == "CREATE" and here:
        return f"Tried to create resource record set [name='{name}.', type='{kind}'] but it already exists"
    if change["Action"] == "DELETE" and not here:
        return f"Tried to delete resource record set [name='{name}.', type='{kind}'] but it was not found"
    if change["Action"] == "DELETE" and _values(here[0]) != (str(wanted.get("TTL", "")), _wanted_values(wanted)):
        return (
            f"Tried to delete resource record set [name='{name}.', type='{kind}'] but the values provided do not match the current values"
        )
    return ""


def _values(record: Any) -> tuple[str, list[str]]:
    return str(record.ttl or ""), sorted(str(value) for value in record.records)


def _wanted_values(wanted: dict[str, Any]) -> list[str]:
    values: list[dict[str, str]] = wanted.get("ResourceRecords") or []
    return sorted(value["Value"] for value in values)
