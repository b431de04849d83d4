"""botocore's descriptions of AWS's services, from which it makes its clients."""

import functools
from collections.abc import Mapping
from typing import Any, cast

import botocore.loaders
from botocore.exceptions import UnknownServiceError
from botocore.model import ServiceModel


@functools.cache
def service_model(service: str) -> ServiceModel | None:
    """Returns the description of a service by botocore's name (`cloudwatch`, not `monitoring`), or None if there is none."""
    try:
        description = cast("Mapping[str, Any]", botocore.loaders.Loader().load_service_model(service, "service-2"))
    except UnknownServiceError:
        return None
    return ServiceModel(description, service)
