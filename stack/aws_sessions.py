"""Sessions and clients of botocore that reach AWS as the engine's provider does. Nothing is asked of AWS before the first call."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    AssumeRoleWithWebIdentityCredentialFetcher,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import ConfigParseError, ProfileNotFound
from botocore.loaders import Loader, create_loader

from stack.aws_config import AwsConfig, WebIdentity
from stack.problems import Problem

FAIL_FAST: Final = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
"""For questions without whose answer all goes on."""


def make_session(aws_config: AwsConfig) -> boto3.Session:
    """A session with the credentials that the settings lead to: the first ones, the web identity's, then each role's in turn.

    Raises botocore's ProfileNotFound where the named profile is in no shared file.
    """
    chosen = boto3.Session(
        botocore_session=_base_session(aws_config),
        region_name=aws_config.region,
        aws_access_key_id=aws_config.access_key,
        aws_secret_access_key=aws_config.secret_key,
        aws_session_token=aws_config.token,
    )
    if aws_config.web_identity is not None:
        identity = aws_config.web_identity
        fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
            client_creator=_sts_client_creator(chosen, aws_config),
            web_identity_token_loader=lambda: _read_token(identity),
            role_arn=identity.role.arn,
            extra_args=dict(identity.role.extra_args),
        )
        chosen = _assumed_role_session(fetcher, "assume-role-with-web-identity", aws_config)
    for role in aws_config.roles:
        following = AssumeRoleCredentialFetcher(
            client_creator=_sts_client_creator(chosen, aws_config),
            source_credentials=cast("Any", chosen.get_credentials()),
            role_arn=role.arn,
            extra_args=dict(role.extra_args),
        )
        chosen = _assumed_role_session(following, "assume-role", aws_config)
    return chosen


def _base_session(aws_config: AwsConfig) -> botocore.session.Session:
    """A session before any role is assumed."""
    base = _new_session(profile=aws_config.profile)
    variables = {
        "region": aws_config.region,
        "config_file": aws_config.config_file,
        "credentials_file": aws_config.credentials_file,
        "ec2_metadata_service_endpoint": aws_config.metadata_endpoint,
        "ec2_metadata_service_endpoint_mode": aws_config.metadata_endpoint_mode.lower() if aws_config.metadata_endpoint_mode else None,
    }
    for name, value in variables.items():
        if value is not None:
            base.set_config_variable(name, value)
    return base


def _new_session(profile: str | None = None) -> botocore.session.Session:
    """A session that shares what it reads of botocore's descriptions of services with all others: EC2's alone takes 0.1 s."""
    made = botocore.session.Session(profile=profile)
    made.register_component("data_loader", _loader())
    return made


@functools.cache
def _loader() -> Loader:
    return create_loader()


def shared_file_problems(aws_config: AwsConfig) -> list[Problem]:
    """What is wrong with the shared files that the settings name: else the wait for hosts would try again and again in vain."""
    problems = [
        Problem(key=f"aws:{key}", value=path, rule="a file that is there", remedy="write its path, or remove the key")
        for key, path in (("sharedConfigFiles", aws_config.config_file), ("sharedCredentialsFiles", aws_config.credentials_file))
        if path and not Path(path).expanduser().is_file()
    ]
    identity = aws_config.web_identity
    if identity and identity.token_file and not Path(identity.token_file).expanduser().is_file():
        rule, remedy = "a file that is there", "write the path of the token"
        problems.append(
            Problem(key="aws:assumeRoleWithWebIdentity.webIdentityTokenFile", value=identity.token_file, rule=rule, remedy=remedy)
        )
    if problems:
        return problems
    base = _base_session(aws_config)
    try:
        base.get_scoped_config()
    except ConfigParseError as error:
        path = str(error.kwargs.get("path"))
        rule, remedy = (
            "a shared file of AWS's: lines of `[profile NAME]`, and `key = value` below each",
            "write another path, or mend the file",
        )
        problems.append(Problem(key=_setting_for(path, aws_config), value=path, rule=rule, remedy=remedy))
    except ProfileNotFound:
        profile = aws_config.profile or base.get_config_variable("profile")
        known = ", ".join(sorted(base.available_profiles)) or "none"
        rule = f"a profile of the shared files; there are: {known}"
        problems.append(
            Problem(key="aws:profile" if aws_config.profile else "AWS_PROFILE", value=profile, rule=rule, remedy="name one of these")
        )
    return problems


def _setting_for(path: str, aws_config: AwsConfig) -> str:
    """What names a shared file: a setting, or a variable of the environment, which may be left out for its default."""
    named = {"aws:sharedConfigFiles": aws_config.config_file, "aws:sharedCredentialsFiles": aws_config.credentials_file}
    for key, file in named.items():
        if file and Path(file).expanduser() == Path(path):
            return key
    config = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    return "AWS_CONFIG_FILE" if config == Path(path) else "AWS_SHARED_CREDENTIALS_FILE"


def make_client(session: boto3.Session, aws_config: AwsConfig, service: str, *, overrides: Config | None = None) -> Any:
    """A client of a service; `overrides` is in place of the usual one."""
    make = cast("Any", session.client)
    config = client_config(aws_config)
    chosen_config = config.merge(overrides) if overrides else config
    return make(service, endpoint_url=aws_config.endpoints.get(service), config=chosen_config, verify=_verify(aws_config))


def client_config(aws_config: AwsConfig) -> Config:
    """How a client speaks: short patience, because whoever asks tries again."""
    s3: dict[str, str] = {"addressing_style": "path"} if aws_config.path_style else {}
    if aws_config.s3_us_east_1_endpoint:
        s3["us_east_1_regional_endpoint"] = aws_config.s3_us_east_1_endpoint
    return Config(
        connect_timeout=5,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3=cast("Any", s3 or None),
        proxies=dict(aws_config.proxies) or None,
        use_fips_endpoint=aws_config.fips or None,
        use_dualstack_endpoint=aws_config.dualstack or None,
    )


def _verify(aws_config: AwsConfig) -> bool | str | None:
    return False if aws_config.insecure else aws_config.ca_bundle


def _sts_client_creator(source: boto3.Session, aws_config: AwsConfig) -> Callable[..., Any]:
    """Makes the STS client that asks for a role's credentials with those of `source`; botocore adds the keys it asks with."""

    def create(service: str, *, config: Config | None = None, **options: Any) -> Any:
        chosen = client_config(aws_config)
        if config is not None and config.signature_version is UNSIGNED:  # pyright: ignore[reportAttributeAccessIssue] - of botocore, not in its stubs
            chosen = chosen.merge(config)
        make = cast("Any", source.client)
        return make(
            service,
            region_name=aws_config.sts_region or aws_config.region,
            endpoint_url=aws_config.endpoints.get("sts"),
            config=chosen,
            verify=_verify(aws_config),
            **options,
        )

    return create


def _assumed_role_session(
    fetcher: AssumeRoleCredentialFetcher | AssumeRoleWithWebIdentityCredentialFetcher, method: str, aws_config: AwsConfig
) -> boto3.Session:
    """A session with credentials that are fetched when first needed and renewed before they expire."""
    base = _new_session()
    base.set_config_variable("region", aws_config.region)
    credentials = DeferredRefreshableCredentials(method=method, refresh_using=fetcher.fetch_credentials)
    base._credentials = credentials  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - botocore has no other way in
    return boto3.Session(botocore_session=base, region_name=aws_config.region)


def _read_token(identity: WebIdentity) -> str:
    """The token; its file is read anew at each renewal, since its owner renews it there."""
    return identity.token or Path(identity.token_file or "").expanduser().read_text().strip()
