"""A provider instance's configuration: reads region, keys and default tags from the engine's Configure call."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from lab.provider.api_client import ApiClient, Credentials
from lab.provider.codec import UNKNOWN, unwrap
from lab.provider.rules.model import Violation

DEFAULT_REGION: Final = "us-east-1"
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ENGINE_KEYS: Final = ("version", "pluginDownloadURL")


def known_keys() -> frozenset[str]:
    """Returns the settings that the SDK's Provider class accepts."""
    import pulumi._types as sdk_types
    import pulumi_aws

    return frozenset(sdk_types.input_type_py_to_pulumi_names(pulumi_aws.ProviderArgs).values())


def check_configuration(config: Mapping[str, Any]) -> list[Violation]:
    """Returns the errors in a provider's configuration."""
    problems = [
        Violation(key, "the aws provider has no such setting") for key in config if key not in known_keys() and key not in _ENGINE_KEYS
    ]
    region = unwrap(config.get("region"))
    if isinstance(region, str) and region is not UNKNOWN and not _REGION.fullmatch(region):
        problems.append(Violation("region", f"expected a region such as eu-central-1; got {region!r}"))
    return problems


def configure_client(config: Mapping[str, Any], base: ApiClient) -> ApiClient:
    """Returns the API client of this instance. `endpoints` is ignored: the lab's provider only calls the lab's API."""
    values = {key: value for key, value in cast("dict[str, Any]", unwrap(config)).items() if value is not UNKNOWN}
    defaults = _parse_json(values.get("defaultTags"))
    tags = cast("dict[str, str]", defaults.get("tags") or {}) if isinstance(defaults, dict) else {}
    credentials = base.credentials
    if values.get("accessKey") and values.get("secretKey"):
        credentials = Credentials(access_key=values["accessKey"], secret_key=values["secretKey"], token=values.get("token"))
    return replace(
        base,
        region=str(values.get("region") or DEFAULT_REGION),
        credentials=credentials,
        default_tags={key: value for key, value in tags.items() if value is not UNKNOWN},
        cancelled=threading.Event(),
    )


def account_denied_reason(config: Mapping[str, Any], client: ApiClient) -> str:
    """Returns why this instance may not work in its caller's account; empty if it may. Reads the account only if the settings limit it.

    As `VerifyAccountIDAllowed` of hashicorp/aws-sdk-go-base (internal/config/config.go), which the provider calls while it is configured
    and so before any resource (`ConfigureProvider`, internal/conns/config.go of hashicorp/terraform-provider-aws).
    """
    values = cast("dict[str, Any]", unwrap(config))
    forbidden, allowed = (_string_list(values.get(key)) for key in ("forbiddenAccountIds", "allowedAccountIds"))
    if not forbidden and not allowed:
        return ""
    account = client.account()
    return f"AWS account ID not allowed: {account}" if account in forbidden or (allowed and account not in allowed) else ""


def _string_list(value: Any) -> list[str]:
    """Returns a list of strings. The engine sends a list from a stack file as JSON, in which unquoted digits are a number.

    A value that is not a list counts as one item, so that a wrongly written limit still limits.
    """
    try:
        items: Any = _parse_json(value) if value not in (None, "") and value is not UNKNOWN else []
    except ValueError:
        items = value
    return [str(item) for item in (cast("list[Any]", items) if isinstance(items, list) else [items])]


def _parse_json(value: Any) -> Any:
    """Parses nested settings, which arrive as JSON."""
    return json.loads(value) if isinstance(value, str) else value or {}
