"""AWS's services as botocore describes them: the descriptions that its clients are made of."""

import functools
from collections.abc import Mapping
from typing import Any, cast

import botocore.loaders
from botocore.exceptions import UnknownServiceError
from botocore.model import ServiceModel


@functools.cache
def service_model(service: str) -> ServiceModel | None:
    """The description of a service by botocore's name for it (`cloudwatch`, not `monitoring`); None where there is none."""
    try:
        description = cast("Mapping[str, Any]", botocore.loaders.Loader().load_service_model(service, "service-2"))
    except UnknownServiceError:
        return None
    return ServiceModel(description, service)
