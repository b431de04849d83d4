"""Records of Route 53.

moto checks a CREATE against its journal and every name that sorts after it: it rejects a record that is made, deleted and made again with
the same values, but accepts one that is made twice with different values. AWS checks the existing records; it accepts a DELETE only with
the record's current values, and rejects a batch as a whole. moto keeps names as written and accepts one that merely ends with the zone's
letters; AWS converts them to lower case. moto accepts an alias beside other records, and deletes records that a zone must have.

https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
"""

from typing import Any, Final

from moto.route53.exceptions import InvalidActionValue, Route53ClientError
from moto.route53.models import FakeZone, Route53Backend

from lab.cloud.emulator.dns_record_values import domain_name_error, record_set_error, record_values
from lab.cloud.emulator.patching import replace

_APEX_TYPES: Final = ("NS", "SOA")
"""The types of records that every zone must have at its own name."""


def install() -> None:
    """Checks changes of records against the existing records."""
    replace(Route53Backend, "change_resource_record_sets", _change_records)


def _change_records(backend: Any, zoneid: str, change_list: list[dict[str, Any]]) -> None:
    zone: FakeZone = backend.get_hosted_zone(zoneid)
    before, problems = list(zone.rrsets), list[str]()
    for change in change_list:
        if change["Action"] not in ("CREATE", "UPSERT", "DELETE"):
            raise InvalidActionValue(change["Action"])
    for change in change_list:
        if problem := _change_error(zone, change):
            problems.append(problem)
        else:
            _apply(zone, change)
    if problems:
        zone.rrsets = before
        raise Route53ClientError("InvalidChangeBatch", f"[{', '.join(problems)}]")


def _apply(zone: FakeZone, change: dict[str, Any]) -> None:
    wanted = change["ResourceRecordSet"]
    if change["Action"] == "DELETE":
        leaving = _find_record_sets(zone, wanted)
        zone.rrsets = [record for record in zone.rrsets if record not in leaving]
    else:
        given = {**wanted, "Name": f"{_canonical(wanted['Name'])}."}
        zone.upsert_rrset(given | {"ResourceRecords": record_values(wanted)} if "ResourceRecords" in wanted else given)


def _find_record_sets(zone: FakeZone, wanted: dict[str, Any]) -> list[Any]:
    """Returns the record sets with that name, type and identifier: one or none."""
    return [
        record
        for record in zone.rrsets
        if _canonical(record.name) == _canonical(wanted["Name"])
        and record.type == wanted["Type"]
        and record.set_identifier == wanted.get("SetIdentifier")
    ]


def _canonical(name: str) -> str:
    return name.removesuffix(".").lower()


def _change_error(zone: FakeZone, change: dict[str, Any]) -> str:
    """Returns why AWS would reject a change; empty if it would not."""
    wanted = change["ResourceRecordSet"]
    name, kind, apex = _canonical(wanted["Name"]), wanted["Type"], _canonical(zone.name)
    what, here = f"resource record set [name='{name}.', type='{kind}']", _find_record_sets(zone, wanted)
    if wrong := domain_name_error(name):
        return f"FATAL problem: {wrong} encountered with '{wanted['Name']}'"
    if name != apex and not name.endswith(f".{apex}"):
        return f"RRSet with DNS name {name}. is not permitted in zone {zone.name}"
    if change["Action"] == "DELETE":
        return _delete_error(what, wanted, here, is_apex=name == apex and kind in _APEX_TYPES)
    if change["Action"] == "CREATE" and here:
        return f"Tried to create {what} but it already exists"
    if wanted.get("AliasTarget"):
        return ""
    return _cname_conflict(zone, name, kind) or record_set_error(kind, wanted.get("TTL"), record_values(wanted))


def _delete_error(record_name: str, requested: dict[str, Any], existing: list[Any], *, is_apex: bool) -> str:
    if not existing:
        return f"Tried to delete {record_name} but it was not found"
    if is_apex:
        return f"A HostedZone must contain at least one NS record for the zone itself, and exactly one SOA record: {record_name} stays"
    if (str(existing[0].ttl or ""), sorted(str(value) for value in existing[0].records)) != (
        str(requested.get("TTL", "")),
        sorted(record_values(requested)),
    ):
        return f"Tried to delete {record_name} but the values provided do not match the current values"
    return ""


def _cname_conflict(zone: FakeZone, name: str, kind: str) -> str:
    """Returns the error if a CNAME would share its name with other records or be at the zone's own name; empty if not."""
    if kind == "CNAME" and name == _canonical(zone.name):
        return f"RRSet of type CNAME with DNS name {name}. is not permitted at apex in zone {zone.name}"
    others = {str(record.type) for record in zone.rrsets if _canonical(record.name) == name and record.type != kind}
    if (kind == "CNAME" and others) or "CNAME" in others:
        return (
            f"RRSet of type {kind} with DNS name {name}. is not permitted because a conflicting RRSet of type {sorted(others)[0]} is there"
        )
    return ""
