"""All kinds of faults, and how a description becomes one."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from lab.hypervisor.faults.api import ApiDown, ApiSlow, ApiThrottle
from lab.hypervisor.faults.fault import Fault, FaultError
from lab.hypervisor.faults.hosts import FillDisk, Freeze, SlowDisk
from lab.hypervisor.faults.network import Bandwidth, Delay, Drop, Loss, ZonePartition

AnyFault = Annotated[
    ZonePartition | Drop | Loss | Bandwidth | Delay | Freeze | FillDisk | SlowDisk | ApiThrottle | ApiSlow | ApiDown,
    Field(discriminator="kind"),
]

_ADAPTER: TypeAdapter[Fault] = TypeAdapter(AnyFault)


def parse(description: Mapping[str, Any]) -> Fault:
    """The fault that a description means, `{"kind": "drop", "from": "web-1", "to": "db-1"}` for instance. Raises FaultError."""
    try:
        return _ADAPTER.validate_python(description)
    except ValidationError as error:
        raise FaultError("; ".join(_format_error(one) for one in error.errors())) from None


def serialize(fault: Fault) -> dict[str, Any]:
    """The description that `parse` reads."""
    return fault.model_dump(mode="json", by_alias=True)


def _format_error(error: ErrorDetails) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    if error["type"].startswith("union_tag"):
        return f"fault {error['input']!r}: a fault has a kind, one of {context.get('expected_tags', 'those in its help')}"
    return f"{'.'.join(map(str, error['loc'][1:]))} {error['input']!r}: {error['msg']}"
