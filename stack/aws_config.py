"""How the stack's `aws:` settings say that AWS is to be reached: read whole, and every setting is followed, harmless or refused in words.

The engine's provider reads the same settings. Its names are the SDK's `pulumi_aws.ProviderArgs`, their meaning is that of
https://github.com/hashicorp/aws-sdk-go-base (`Config`; `getCredentialsProvider` in credentials.go: a web identity takes the place of the
first credentials, then each role is assumed in turn), which the provider uses.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from stack.problems import REDACTED, UNSET, Problem
from stack.suggestions import closest_match

SUPPORTED: Final = frozenset(
    {
        "accessKey", "assumeRoleWithWebIdentity", "assumeRoles", "customCaBundle", "ec2MetadataServiceEndpoint",
        "ec2MetadataServiceEndpointMode", "endpoints", "httpProxy", "httpsProxy", "insecure", "profile", "region",
        "s3UsEast1RegionalEndpoint", "s3UsePathStyle", "secretKey", "sharedConfigFiles", "sharedCredentialsFiles", "stsRegion", "token",
        "useDualstackEndpoint", "useFipsEndpoint",
    }
)  # fmt: skip
"""What the program's own look at AWS does as the provider does."""

IRRELEVANT: Final[Mapping[str, str]] = {
    "allowedAccountIds": "the account is checked before anything else is asked (stack/account_check.py)",
    "forbiddenAccountIds": "the account is checked before anything else is asked (stack/account_check.py)",
    "defaultTags": "the look-ups are by the program's own tags",
    "ignoreTags": "the look-ups ask AWS, not the state",
    "maxRetries": "who looks at hosts tries again until the wait is over",
    "retryMode": "who looks at hosts tries again until the wait is over",
    "tokenBucketRateLimiterCapacity": "who looks at hosts tries again until the wait is over",
    "skipCredentialsValidation": "nothing is validated by the look-ups",
    "skipMetadataApiCheck": "only whether the provider asks the metadata service beforehand",
    "skipRegionValidation": "the program judges the region by its name, whatever the provider does",
    "skipRequestingAccountId": "the look-ups need no account id",
    "tagPolicyCompliance": "the look-ups tag nothing",
    "userAgents": "what the provider calls itself",
}
"""What makes no difference to the look-ups, and why."""

UNSUPPORTED: Final[Mapping[str, tuple[str, str]]] = {
    "noProxy": (
        "a proxy for all that the program asks of AWS, or none: its own look-ups do not follow this setting",
        "set HTTPS_PROXY and NO_PROXY in the environment instead of httpsProxy and noProxy: provider and program both follow them",
    ),
}
"""What the look-ups would not do as the provider does: the rule and the remedy."""

ACCOUNT_LISTS: Final = ("allowedAccountIds", "forbiddenAccountIds")
"""Lists of accounts. The provider takes what is no list for none, and would then guard nothing."""

SECRET_SETTINGS: Final = frozenset({"accessKey", "secretKey", "token", "assumeRoleWithWebIdentity"})
SERVICES: Final = ("ec2", "s3", "sts")
"""The services whose endpoints are used; others make no difference. One for signing in by `sso` would, and is refused."""

_ASSUME_ROLE_FIELDS: Final = {
    "duration": "DurationSeconds",
    "externalId": "ExternalId",
    "policy": "Policy",
    "policyArns": "PolicyArns",
    "roleArn": "RoleArn",
    "sessionName": "RoleSessionName",
    "sourceIdentity": "SourceIdentity",
    "tags": "Tags",
    "transitiveTagKeys": "TransitiveTagKeys",
}
"""The keys of one of `assumeRoles` and what STS calls them."""

_WEB_IDENTITY_FIELDS: Final = {key: _ASSUME_ROLE_FIELDS[key] for key in ("duration", "policy", "policyArns", "roleArn", "sessionName")} | {
    "webIdentityToken": "WebIdentityToken",
    "webIdentityTokenFile": "",
}
_NON_STRING_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "policyArns": ("a list of policies' ARNs", "write one a line with a dash"),
    "tags": ("an object of texts", "write one `key: value` a line"),
    "transitiveTagKeys": ("a list of tags' keys", "write one a line with a dash"),
}
"""Parts of a role that are no text: the rule and the remedy."""
_DURATION_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, kw_only=True)
class AssumedRole:
    """A role to assume: its ARN, and what STS is asked besides, by STS's own names."""

    arn: str
    extra_args: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class WebIdentity:
    """A role that is assumed with a token of an identity provider: the token itself, or the file that holds it."""

    role: AssumedRole
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None


@dataclass(frozen=True, kw_only=True)
class AwsConfig:
    """How to reach AWS. Empty values leave the choice to AWS's own defaults (environment, shared files, metadata)."""

    region: str
    profile: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    config_file: str | None = None
    credentials_file: str | None = None
    web_identity: WebIdentity | None = None
    """Assumed first, by itself; the roles come after it."""
    roles: tuple[AssumedRole, ...] = ()
    """Roles to assume, one after the other."""
    endpoints: Mapping[str, str] = field(default_factory=dict[str, str])
    sts_region: str | None = None
    proxies: Mapping[str, str] = field(default_factory=dict[str, str])
    ca_bundle: str | None = None
    insecure: bool = False
    fips: bool = False
    dualstack: bool = False
    path_style: bool = False
    s3_us_east_1_endpoint: str | None = None
    """How S3 is reached in us-east-1: `legacy` or `regional`."""
    metadata_endpoint: str | None = None
    metadata_endpoint_mode: str | None = None

    @classmethod
    def from_provider_config(cls, region: str, provider_config: Mapping[str, object]) -> "AwsConfig":
        """The access that sound settings describe; `given` is by the SDK's names, nested values as JSON or as they are."""
        values = {key: parse_nested(value) for key, value in provider_config.items()}

        def text(key: str) -> str | None:
            value = values.get(key)
            return str(value) if value not in (None, "") else None

        http, https = text("httpProxy"), text("httpsProxy")
        # Without a proxy for HTTPS of its own, the provider takes that for HTTP for both: HTTPProxyModeLegacy of aws-sdk-go-base.
        proxies = {"http": http or "", "https": https or http or ""}
        return cls(
            region=region,
            profile=text("profile"),
            access_key=text("accessKey"),
            secret_key=text("secretKey"),
            token=text("token"),
            config_file=next(iter(_strings(values.get("sharedConfigFiles"))), None),
            credentials_file=next(iter(_strings(values.get("sharedCredentialsFiles"))), None),
            web_identity=next((_parse_web_identity(item) for item in _dicts(values.get("assumeRoleWithWebIdentity"))), None),
            roles=tuple(_parse_role(item, _ASSUME_ROLE_FIELDS) for item in _dicts(values.get("assumeRoles")) if item.get("roleArn")),
            endpoints={
                name: str(url) for item in _dicts(values.get("endpoints")) for name, url in item.items() if url and name in SERVICES
            },
            sts_region=text("stsRegion"),
            proxies={scheme: url for scheme, url in proxies.items() if url},
            ca_bundle=text("customCaBundle"),
            insecure=_parse_bool(values.get("insecure")),
            fips=_parse_bool(values.get("useFipsEndpoint")),
            dualstack=_parse_bool(values.get("useDualstackEndpoint")),
            path_style=_parse_bool(values.get("s3UsePathStyle")),
            s3_us_east_1_endpoint=text("s3UsEast1RegionalEndpoint"),
            metadata_endpoint=text("ec2MetadataServiceEndpoint"),
            metadata_endpoint_mode=text("ec2MetadataServiceEndpointMode"),
        )


def aws_config_problems(provider_config: Mapping[str, object]) -> list[Problem]:
    """What is wrong with the `aws:` settings, by the SDK's names, as far as the program's own look-ups are concerned."""
    problems: list[Problem] = []

    def problem(key: str, value: object, rule: str, remedy: str) -> None:
        hidden = key.partition(".")[0].partition("[")[0] in SECRET_SETTINGS
        problems.append(Problem(key=f"aws:{key}", value=REDACTED if hidden else value, rule=rule, remedy=remedy))

    known = sorted(SUPPORTED | IRRELEVANT.keys() | UNSUPPORTED.keys())
    for key, value in provider_config.items():
        if value in (None, "", "[]", "{}"):
            continue
        if key in UNSUPPORTED:
            problem(key, value, *UNSUPPORTED[key])
        elif key not in SUPPORTED and key not in IRRELEVANT:
            choice = closest_match(key, known)
            problem(key, value, "no such setting of the AWS provider", f"did you mean {choice}?" if choice else "remove it")
    for key in ACCOUNT_LISTS:
        for place, part, rule, remedy in check_account_ids(provider_config.get(key)):
            problem(f"{key}{place}", part, rule, remedy)
    for key in ("sharedConfigFiles", "sharedCredentialsFiles"):
        if len(_strings(parse_nested(provider_config.get(key)))) > 1:
            problem(key, provider_config[key], "one file: the program's own look-ups read no more", "put all profiles into one file")
    for key, names in (("assumeRoles", _ASSUME_ROLE_FIELDS), ("assumeRoleWithWebIdentity", _WEB_IDENTITY_FIELDS)):
        value = parse_nested(provider_config.get(key))
        if value not in (None, "") and not isinstance(value, list | dict):
            problem(key, value, "an object, or a list of objects", "set it with `pulumi config set --path`")
        for index, item in enumerate(_dicts(value)):
            for place, part, rule, remedy in _check_role(item, names):
                problem(f"{key}[{index}]{place}" if isinstance(value, list) else f"{key}{place}", part, rule, remedy)
    for index, item in enumerate(_dicts(parse_nested(provider_config.get("endpoints")))):
        for name in ("sso", "ssooidc"):
            if item.get(name):
                rule = "AWS's own endpoint for signing in: the program's own look-ups do not follow another"
                problem(f"endpoints[{index}].{name}", item[name], rule, "sign in beforehand; hand the credentials over in the environment")
    return problems


def check_account_ids(raw: object) -> Iterator[tuple[str, object, str, str]]:
    """What is wrong with a list of accounts: where, what was given, the rule and the remedy."""
    value = parse_nested(raw)
    if value in (None, ""):
        return
    if not isinstance(value, list):
        yield "", value, "a list of AWS account ids, of twelve digits each", "write one a line with a dash, in quotes"
        return
    for index, item in enumerate(cast("list[object]", value)):
        # In quotes or not; a number that begins with 0 is another one once YAML has read it.
        if isinstance(item, bool) or not isinstance(item, str | int) or not re.fullmatch(r"[0-9]{12}", str(item)):
            yield f"[{index}]", item, "an AWS account id: twelve digits", "write all twelve, in quotes"


def _check_role(item: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[tuple[str, object, str, str]]:
    """What is wrong with a role to assume: where, what was given, the rule and the remedy."""
    for name, part in item.items():
        if name not in names:
            choice = closest_match(name, names)
            yield f".{name}", part, f"one of {', '.join(names)}", f"did you mean {choice}?" if choice else "remove it"
        elif not _has_valid_type(name, part):
            rule, remedy = _NON_STRING_FIELDS.get(name, ("text", "write it in quotes"))
            yield f".{name}", part, rule, remedy
    if item and not item.get("roleArn"):
        yield ".roleArn", UNSET, "the ARN of a role", "name the role to assume"
    if item.get("duration") and parse_duration(item["duration"]) is None:
        yield ".duration", item["duration"], "a duration with its units, of 15 minutes to 12 hours", "write one such as 1h30m"
    tokens = [name for name in ("webIdentityToken", "webIdentityTokenFile") if item.get(name)]
    if item and "webIdentityToken" in names and len(tokens) != 1:
        yield "", item, "either webIdentityToken or webIdentityTokenFile", "name the file that holds the token"


def _has_valid_type(name: str, part: object) -> bool:
    """Whether a part of a role has the shape that STS is asked with; a number is as good as its digits."""
    if not part:
        return True
    if name == "tags":
        return isinstance(part, dict) and all(map(_is_scalar, cast("dict[str, object]", part).values()))
    if name in _NON_STRING_FIELDS:
        return isinstance(part, list) and all(map(_is_scalar, cast("list[object]", part)))
    return _is_scalar(part)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def parse_duration(duration: object) -> int | None:
    """The seconds of a duration as Go writes it (`1h30m`), of 15 minutes to 12 hours; None where it is none."""
    text = str(duration)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    total = sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)
    return int(total) if 900 <= total <= 43200 else None


def _parse_role(item: Mapping[str, Any], names: Mapping[str, str]) -> AssumedRole:
    parts = {key: part for key, part in item.items() if part and names.get(key) and key != "roleArn" and _has_valid_type(key, part)}
    extra: dict[str, Any] = {names[key]: part if key in _NON_STRING_FIELDS else str(part) for key, part in parts.items()}
    extra.setdefault("RoleSessionName", "webstack")
    if "DurationSeconds" in extra:
        extra["DurationSeconds"] = parse_duration(extra["DurationSeconds"])
    if "PolicyArns" in extra:
        extra["PolicyArns"] = [{"arn": str(arn)} for arn in extra["PolicyArns"]]
    if "Tags" in extra:
        extra["Tags"] = [{"Key": key, "Value": str(value)} for key, value in sorted(extra["Tags"].items())]
    if "TransitiveTagKeys" in extra:
        extra["TransitiveTagKeys"] = [str(key) for key in extra["TransitiveTagKeys"]]
    extra.pop("WebIdentityToken", None)
    return AssumedRole(arn=str(item["roleArn"]), extra_args=extra)


def _parse_web_identity(item: Mapping[str, Any]) -> WebIdentity | None:
    if not item.get("roleArn"):
        return None
    return WebIdentity(
        role=_parse_role(item, _WEB_IDENTITY_FIELDS), token=item.get("webIdentityToken"), token_file=item.get("webIdentityTokenFile")
    )


def parse_nested(value: object) -> object:
    """A nested setting is JSON; any other text is itself."""
    if not isinstance(value, str) or not value.startswith(("[", "{")):
        return value
    try:
        return cast("object", json.loads(value))
    except ValueError:
        return value


def _dicts(value: Any) -> list[dict[str, Any]]:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _strings(value: object) -> list[str]:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [str(item) for item in items if item]


def _parse_bool(value: object) -> bool:
    return value is True or str(value).lower() == "true"
