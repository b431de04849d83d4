"""The class of log groups, which moto neither keeps nor shows.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
"""

from typing import Any

from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogGroup
from moto.logs.responses import LogsResponse

from lab.cloud.emulator.patching import original, replace

_CLASSES = ("STANDARD", "INFREQUENT_ACCESS", "DELIVERY")

_create = original(LogsResponse, "create_log_group")
_describe = original(LogGroup, "to_describe_dict")


def install() -> None:
    """Patches creation and listing."""
    replace(LogsResponse, "create_log_group", _create_log_group)
    replace(LogGroup, "to_describe_dict", _describe_log_group)


def _create_log_group(response: Any) -> str:
    kind = response._get_param("logGroupClass") or "STANDARD"
    if kind not in _CLASSES:
        raise InvalidParameterException(
            constraint=f"Member must satisfy enum value set: [{', '.join(_CLASSES)}]", parameter="logGroupClass", value=kind
        )
    answer: str = _create(response)
    response.logs_backend.groups[response._get_param("logGroupName")].log_group_class = kind
    return answer


def _describe_log_group(group: Any) -> dict[str, Any]:
    return {**_describe(group), "logGroupClass": getattr(group, "log_group_class", "STANDARD")}
