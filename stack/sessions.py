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

from stack.access import Access, WebIdentity
from stack.problems import Problem

BRIEF: Final = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
"""For questions without whose answer all goes on."""


def session(access: Access) -> boto3.Session:
    """A session with the credentials that the settings lead to: the first ones, the web identity's, then each role's in turn.

    Raises botocore's ProfileNotFound where the named profile is in no shared file.
    """
    chosen = boto3.Session(
        botocore_session=_first(access),
        region_name=access.region,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        aws_session_token=access.token,
    )
    if access.web_identity is not None:
        identity = access.web_identity
        fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
            client_creator=_sts(chosen, access),
            web_identity_token_loader=lambda: _token(identity),
            role_arn=identity.role.arn,
            extra_args=dict(identity.role.extra),
        )
        chosen = _with(fetcher, "assume-role-with-web-identity", access)
    for role in access.roles:
        following = AssumeRoleCredentialFetcher(
            client_creator=_sts(chosen, access),
            source_credentials=cast("Any", chosen.get_credentials()),
            role_arn=role.arn,
            extra_args=dict(role.extra),
        )
        chosen = _with(following, "assume-role", access)
    return chosen


def _first(access: Access) -> botocore.session.Session:
    """A session before any role is assumed."""
    base = _bare(profile=access.profile)
    variables = {
        "region": access.region,
        "config_file": access.config_file,
        "credentials_file": access.credentials_file,
        "ec2_metadata_service_endpoint": access.metadata_endpoint,
        "ec2_metadata_service_endpoint_mode": access.metadata_mode.lower() if access.metadata_mode else None,
    }
    for name, value in variables.items():
        if value is not None:
            base.set_config_variable(name, value)
    return base


def _bare(profile: str | None = None) -> botocore.session.Session:
    """A session that shares what it reads of botocore's descriptions of services with all others: EC2's alone takes 0.1 s."""
    made = botocore.session.Session(profile=profile)
    made.register_component("data_loader", _loader())
    return made


@functools.cache
def _loader() -> Loader:
    return create_loader()


def file_problems(access: Access) -> list[Problem]:
    """What is wrong with the shared files that the settings name: else the wait for hosts would try again and again in vain."""
    problems = [
        Problem(key=f"aws:{key}", value=path, rule="a file that is there", remedy="write its path, or remove the key")
        for key, path in (("sharedConfigFiles", access.config_file), ("sharedCredentialsFiles", access.credentials_file))
        if path and not Path(path).expanduser().is_file()
    ]
    identity = access.web_identity
    if identity and identity.token_file and not Path(identity.token_file).expanduser().is_file():
        rule, remedy = "a file that is there", "write the path of the token"
        problems.append(
            Problem(key="aws:assumeRoleWithWebIdentity.webIdentityTokenFile", value=identity.token_file, rule=rule, remedy=remedy)
        )
    if problems:
        return problems
    base = _first(access)
    try:
        base.get_scoped_config()
    except ConfigParseError as error:
        path = str(error.kwargs.get("path"))
        rule, remedy = (
            "a shared file of AWS's: lines of `[profile NAME]`, and `key = value` below each",
            "write another path, or mend the file",
        )
        problems.append(Problem(key=_key_of(path, access), value=path, rule=rule, remedy=remedy))
    except ProfileNotFound:
        profile = access.profile or base.get_config_variable("profile")
        known = ", ".join(sorted(base.available_profiles)) or "none"
        rule = f"a profile of the shared files; there are: {known}"
        problems.append(
            Problem(key="aws:profile" if access.profile else "AWS_PROFILE", value=profile, rule=rule, remedy="name one of these")
        )
    return problems


def _key_of(path: str, access: Access) -> str:
    """What names a shared file: a setting, or a variable of the environment, which may be left out for its default."""
    named = {"aws:sharedConfigFiles": access.config_file, "aws:sharedCredentialsFiles": access.credentials_file}
    for key, file in named.items():
        if file and Path(file).expanduser() == Path(path):
            return key
    config = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    return "AWS_CONFIG_FILE" if config == Path(path) else "AWS_SHARED_CREDENTIALS_FILE"


def client(chosen: boto3.Session, access: Access, service: str, *, patience: Config | None = None) -> Any:
    """A client of a service; `patience` is in place of the usual one."""
    make = cast("Any", chosen.client)
    config = client_config(access)
    chosen_config = config.merge(patience) if patience else config
    return make(service, endpoint_url=access.endpoints.get(service), config=chosen_config, verify=_verify(access))


def client_config(access: Access) -> Config:
    """How a client speaks: short patience, because whoever asks tries again."""
    s3: dict[str, str] = {"addressing_style": "path"} if access.path_style else {}
    if access.us_east_1:
        s3["us_east_1_regional_endpoint"] = access.us_east_1
    return Config(
        connect_timeout=5,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3=cast("Any", s3 or None),
        proxies=dict(access.proxies) or None,
        use_fips_endpoint=access.fips or None,
        use_dualstack_endpoint=access.dualstack or None,
    )


def _verify(access: Access) -> bool | str | None:
    return False if access.insecure else access.ca_bundle


def _sts(source: boto3.Session, access: Access) -> Callable[..., Any]:
    """Makes the STS client that asks for a role's credentials with those of `source`; botocore adds the keys it asks with."""

    def create(service: str, *, config: Config | None = None, **options: Any) -> Any:
        chosen = client_config(access)
        if config is not None and config.signature_version is UNSIGNED:  # pyright: ignore[reportAttributeAccessIssue] - of botocore, not in its stubs
            chosen = chosen.merge(config)
        make = cast("Any", source.client)
        return make(
            service,
            region_name=access.sts_region or access.region,
            endpoint_url=access.endpoints.get("sts"),
            config=chosen,
            verify=_verify(access),
            **options,
        )

    return create


def _with(fetcher: AssumeRoleCredentialFetcher | AssumeRoleWithWebIdentityCredentialFetcher, method: str, access: Access) -> boto3.Session:
    """A session with credentials that are fetched when first needed and renewed before they expire."""
    base = _bare()
    base.set_config_variable("region", access.region)
    credentials = DeferredRefreshableCredentials(method=method, refresh_using=fetcher.fetch_credentials)
    base._credentials = credentials  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - botocore has no other way in
    return boto3.Session(botocore_session=base, region_name=access.region)


def _token(identity: WebIdentity) -> str:
    """The token; its file is read anew at each renewal, since its owner renews it there."""
    return identity.token or Path(identity.token_file or "").expanduser().read_text().strip()
