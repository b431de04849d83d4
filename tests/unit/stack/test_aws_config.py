"""The program's own look at AWS takes the same way as the engine's provider, setting by setting, or says at once that it does not."""

import configparser
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import botocore.client
import pulumi
import pytest
from hypothesis import given as tried
from hypothesis import strategies as st

from lab.provider.configuration import known_keys
from stack import configuration
from stack.aws_config import ACCOUNT_LISTS, IRRELEVANT, SUPPORTED, UNSUPPORTED, AssumedRole, AwsConfig, aws_config_problems, parse_duration
from stack.aws_sessions import client_config, make_client, make_session, shared_file_problems
from tests.unit.monitor import StrictMonitor, run

REGION = "eu-central-1"
ROLE_A, ROLE_B = "arn:aws:iam::111111111111:role/a", "arn:aws:iam::222222222222:role/b"


@pytest.fixture(autouse=True)
def _isolate_aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def load_config(**given: object) -> AwsConfig:
    assert aws_config_problems(given) == []
    return AwsConfig.from_provider_config(REGION, given)


class FakeSts:
    """Answers STS calls in the place of the network, and keeps what was asked, where and with which key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.keys: list[str | None] = []
        self.clients: list[botocore.client.BaseClient] = []

        def call(made: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
            self.calls.append((operation, parameters))
            self.clients.append(made)
            signer = made._request_signer._credentials
            self.keys.append(signer.access_key if signer else None)
            role = parameters["RoleArn"].rpartition("/")[2]
            credentials = {
                "AccessKeyId": f"of-{role}", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": datetime(2100, 1, 1, tzinfo=UTC)
            }  # fmt: skip
            return {"Credentials": credentials, "AssumedRoleUser": {"AssumedRoleId": "x", "Arn": "x"}}

        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> FakeSts:
    return FakeSts(monkeypatch)


def access_key(access: AwsConfig) -> str | None:
    """The access key that a request would be signed with."""
    credentials = make_session(access).get_credentials()
    return credentials.get_frozen_credentials().access_key if credentials else None


def test_every_setting_of_the_sdks_provider_is_followed_or_harmless_or_refused() -> None:
    listed = sorted([*SUPPORTED, *IRRELEVANT, *UNSUPPORTED])
    assert listed == sorted(known_keys()), "the SDK's provider has other settings than stack/aws_config.py knows, or one is listed twice"


SAMPLES: Mapping[str, object] = {
    "accessKey": "AKIA",
    "assumeRoleWithWebIdentity": {"roleArn": ROLE_A, "webIdentityToken": "t"},
    "assumeRoles": [{"roleArn": ROLE_A}],
    "customCaBundle": "/ca.pem",
    "ec2MetadataServiceEndpoint": "http://127.0.0.1:1",
    "ec2MetadataServiceEndpointMode": "IPv6",
    "endpoints": [{"ec2": "http://127.0.0.1:1"}],
    "httpProxy": "http://proxy:1",
    "httpsProxy": "http://proxy:2",
    "insecure": "true",
    "profile": "shop",
    "s3UsEast1RegionalEndpoint": "legacy",
    "s3UsePathStyle": "true",
    "secretKey": "hidden",
    "sharedConfigFiles": ["/config"],
    "sharedCredentialsFiles": ["/credentials"],
    "stsRegion": "us-east-1",
    "token": "also",
    "useDualstackEndpoint": "true",
    "useFipsEndpoint": "true",
}


@pytest.mark.parametrize("key", sorted(SUPPORTED - {"region"}))
def test_a_setting_that_is_followed_changes_how_aws_is_reached(key: str) -> None:
    assert load_config(**{key: SAMPLES[key]}) != load_config()


@pytest.mark.parametrize("key", sorted(IRRELEVANT))
def test_a_setting_that_is_harmless_changes_nothing(key: str) -> None:
    assert load_config(**{key: '["123456789012"]' if key in ACCOUNT_LISTS else "1"}) == load_config()


@pytest.mark.parametrize("key", sorted(UNSUPPORTED))
def test_a_setting_that_cannot_be_followed_is_a_mistake(key: str) -> None:
    (found,) = aws_config_problems({key: "x"})
    assert (found.key, found.rule, found.remedy) == (f"aws:{key}", *UNSUPPORTED[key])


INVALID: list[tuple[dict[str, object], str, str]] = [
    ({"assumeRole": {"roleArn": ROLE_A}}, "aws:assumeRole", "did you mean assumeRoles?"),
    ({"sharedConfigFiles": '["/a", "/b"]'}, "aws:sharedConfigFiles", "into one file"),
    ({"assumeRoles": [{"roleArn": ROLE_A}, {"rolArn": ROLE_B}]}, "aws:assumeRoles[1].rolArn", "did you mean roleArn?"),
    ({"assumeRoles": [{"sessionName": "x"}]}, "aws:assumeRoles[0].roleArn", "name the role"),
    ({"assumeRoles": [{"roleArn": ROLE_A, "duration": "3600"}]}, "aws:assumeRoles[0].duration", "1h30m"),
    ({"assumeRoles": "x"}, "aws:assumeRoles", "--path"),
    ({"assumeRoleWithWebIdentity": {"roleArn": ROLE_A}}, "aws:assumeRoleWithWebIdentity", "name the file"),
    ({"assumeRoles": [{"roleArn": ROLE_A, "tags": [1]}]}, "aws:assumeRoles[0].tags", "key: value"),
    ({"assumeRoles": [{"roleArn": ROLE_A, "tags": {"a": {"b": 1}}}]}, "aws:assumeRoles[0].tags", "key: value"),
    ({"assumeRoles": [{"roleArn": ROLE_A, "policyArns": 5}]}, "aws:assumeRoles[0].policyArns", "with a dash"),
    ({"assumeRoles": [{"roleArn": ROLE_A, "policyArns": [[]]}]}, "aws:assumeRoles[0].policyArns", "with a dash"),
    ({"assumeRoles": [{"roleArn": ROLE_A, "transitiveTagKeys": "x"}]}, "aws:assumeRoles[0].transitiveTagKeys", "with a dash"),
    ({"assumeRoles": [{"roleArn": [ROLE_A]}]}, "aws:assumeRoles[0].roleArn", "in quotes"),
    ({"assumeRoles": [{"roleArn": ROLE_A, "policy": {"Version": 1}}]}, "aws:assumeRoles[0].policy", "in quotes"),
    ({"allowedAccountIds": "123456789012"}, "aws:allowedAccountIds", "with a dash"),
    ({"allowedAccountIds": '{"a": 1}'}, "aws:allowedAccountIds", "with a dash"),
    ({"allowedAccountIds": '[123456789012, "111"]'}, "aws:allowedAccountIds[1]", "all twelve"),
    ({"allowedAccountIds": "[12345678901]"}, "aws:allowedAccountIds[0]", "in quotes"),
    ({"forbiddenAccountIds": 123456789012}, "aws:forbiddenAccountIds", "with a dash"),
    ({"forbiddenAccountIds": "[true]"}, "aws:forbiddenAccountIds[0]", "all twelve"),
    ({"endpoints": [{"sso": "http://127.0.0.1"}]}, "aws:endpoints[0].sso", "sign in beforehand"),
]


@pytest.mark.parametrize(("given", "key", "remedy"), INVALID, ids=[case[1] for case in INVALID])
def test_a_mistake_in_how_aws_is_reached_is_named(given: dict[str, object], key: str, remedy: str) -> None:
    found = {problem.key: problem for problem in aws_config_problems(given)}
    assert remedy in found[key].remedy


@tried(
    st.sampled_from(["assumeRoles", "assumeRoleWithWebIdentity"]),
    st.sampled_from(["tags", "policyArns", "transitiveTagKeys", "roleArn", "externalId", "duration", "policy", "webIdentityToken"]),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda some: st.lists(some) | st.dictionaries(st.text(), some)),
)
def test_no_part_of_a_role_gives_anything_but_an_access_or_its_mistakes(key: str, name: str, part: object) -> None:
    settings = {key: [{"roleArn": ROLE_A, name: part}]}
    assert all(problem.rule and problem.remedy for problem in aws_config_problems(settings))
    AwsConfig.from_provider_config(REGION, settings)


@pytest.mark.parametrize("accounts", ["[]", "", '["012345678901"]', "[123456789012]", ["123456789012"]])
def test_a_list_of_accounts_is_sound(accounts: object) -> None:
    assert aws_config_problems(dict.fromkeys(ACCOUNT_LISTS, accounts)) == []


def test_what_cannot_be_followed_ends_a_preview_at_once_with_all_other_mistakes() -> None:
    monitor = StrictMonitor(preview=True)
    config = {"aws:region": REGION, "aws:noProxy": "x", "aws:token": "hunter2", "aws:assumeRoles": "hunter3", "webstack:web": {"count": 0}}
    with pytest.raises(pulumi.RunError, match="the configuration has 3 mistakes; nothing was changed") as raised:
        run(lambda: configuration.load() and None, config=config, monitor=monitor)
    assert monitor.program.resources == []
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(("text", "expected"), [("15m", 900), ("1h30m", 5400), ("12h", 43200), ("900s", 900), ("900", None), ("14m", None)])
def test_a_duration_is_as_go_writes_it(text: str, expected: int | None) -> None:
    assert parse_duration(text) == expected


def test_keys_and_tokens_are_in_no_text() -> None:
    access = load_config(accessKey="AKIA", secretKey="hidden", token="also", assumeRoleWithWebIdentity=SAMPLES["assumeRoleWithWebIdentity"])
    for secret in ("hidden", "also", "token='t'"):
        assert secret not in repr(access)


def shared_files(folder: Path) -> dict[str, object]:
    """A config file with a profile of another source, and the credentials that it begins with."""
    settings, credentials = configparser.ConfigParser(), configparser.ConfigParser()
    settings["profile shop"] = {"role_arn": ROLE_A, "source_profile": "base", "region": "eu-west-1"}
    credentials["base"] = {"aws_access_key_id": "of-base", "aws_secret_access_key": "s"}
    credentials["keys"] = {"aws_access_key_id": "of-keys", "aws_secret_access_key": "s"}
    for name, content in (("config", settings), ("credentials", credentials)):
        with (folder / name).open("w") as file:
            content.write(file)
    return {"sharedConfigFiles": f'["{folder}/config"]', "sharedCredentialsFiles": [str(folder / "credentials")]}


def test_profiles_come_from_the_shared_files_that_are_named(tmp_path: Path, sts: FakeSts) -> None:
    files = shared_files(tmp_path)
    assert access_key(load_config(profile="keys", **files)) == "of-keys"
    assert sts.calls == []
    access = load_config(profile="shop", **files)
    assert shared_file_problems(access) == []
    assert access_key(access) == "of-a"
    assert sts.keys == ["of-base"]
    assert make_client(make_session(access), access, "ec2").meta.region_name == REGION


def test_a_profile_wins_over_keys_in_the_environment_and_without_one_the_environment_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert access_key(load_config()) == "of-the-environment"
    assert access_key(load_config(profile="keys", **shared_files(tmp_path))) == "of-keys"
    assert access_key(load_config(accessKey="of-the-settings", secretKey="s")) == "of-the-settings"


def test_a_profile_or_a_file_that_is_not_there_is_a_mistake_and_no_long_wait(tmp_path: Path) -> None:
    files = shared_files(tmp_path)
    (found,) = shared_file_problems(load_config(profile="shopp", **files))
    assert (found.key, found.value, found.rule) == ("aws:profile", "shopp", "a profile of the shared files; there are: base, keys, shop")
    (missing,) = shared_file_problems(load_config(sharedConfigFiles=[str(tmp_path / "nowhere")]))
    assert missing.key == "aws:sharedConfigFiles"
    token = {"roleArn": ROLE_A, "webIdentityTokenFile": str(tmp_path / "nowhere")}
    assert [problem.key for problem in shared_file_problems(load_config(assumeRoleWithWebIdentity=token))] == [
        "aws:assumeRoleWithWebIdentity.webIdentityTokenFile"
    ]


@pytest.mark.parametrize(
    "content", [b"root:x:0:0:root:/root:/bin/sh\n", b"[profile a]\nregion\n", "[profile é]\n".encode("latin-1"), b"[a\nb = c"]
)
@pytest.mark.parametrize("key", ["aws:sharedConfigFiles", "aws:sharedCredentialsFiles", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_shared_file_that_is_none_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    setting = key.removeprefix("aws:")
    if key == setting:
        monkeypatch.setenv(key, str(file))
    (found,) = shared_file_problems(load_config() if key == setting else load_config(**{setting: [str(file)]}))
    assert (found.key, found.value) == (key, str(file))
    assert "[profile NAME]" in found.rule


def test_roles_are_assumed_one_after_the_other_with_all_their_keys(sts: FakeSts) -> None:
    first = {
        "roleArn": ROLE_A, "duration": "1h", "externalId": "x", "policy": "{}", "policyArns": ["arn:aws:iam::aws:policy/p"],
        "sessionName": "ci", "sourceIdentity": "me", "tags": {"team": "shop"}, "transitiveTagKeys": ["team"],
    }  # fmt: skip
    access = load_config(accessKey="of-the-settings", secretKey="s", assumeRoles=[first, {"roleArn": ROLE_B}], stsRegion="us-east-1")
    assert access_key(access) == "of-b"
    assert sts.keys == ["of-the-settings", "of-a"]
    assert sts.calls == [
        (
            "AssumeRole",
            {
                "RoleArn": ROLE_A, "RoleSessionName": "ci", "DurationSeconds": 3600, "ExternalId": "x", "Policy": "{}",
                "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/p"}], "SourceIdentity": "me", "Tags": [{"Key": "team", "Value": "shop"}],
                "TransitiveTagKeys": ["team"],
            },
        ),
        ("AssumeRole", {"RoleArn": ROLE_B, "RoleSessionName": "webstack"}),
    ]  # fmt: skip
    assert {one.meta.region_name for one in sts.clients} == {"us-east-1"}


def test_a_web_identity_is_assumed_first_without_keys_and_its_file_is_read_anew(tmp_path: Path, sts: FakeSts) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    identity = {"roleArn": ROLE_A, "webIdentityTokenFile": str(file), "sessionName": "ci", "duration": "15m"}
    access = load_config(assumeRoleWithWebIdentity=identity, assumeRoles=[{"roleArn": ROLE_B}], endpoints=[{"sts": "http://127.0.0.1:9"}])
    assert access_key(access) == "of-b"
    assert sts.keys == [None, "of-a"]
    asked = {"RoleArn": ROLE_A, "RoleSessionName": "ci", "DurationSeconds": 900, "WebIdentityToken": "first"}
    assert sts.calls[0] == ("AssumeRoleWithWebIdentity", asked)
    assert {one.meta.endpoint_url for one in sts.clients} == {"http://127.0.0.1:9"}
    file.write_text("second")
    assert access_key(access) == "of-b"
    assert sts.calls[2][1]["WebIdentityToken"] == "second"


def test_clients_go_where_the_settings_say() -> None:
    access = load_config(
        accessKey="a", secretKey="b", useFipsEndpoint="true", useDualstackEndpoint="true", endpoints='[{"s3": "http://127.0.0.1:9"}]'
    )
    chosen = make_session(access)
    assert make_client(chosen, access, "s3").meta.endpoint_url == "http://127.0.0.1:9"
    assert make_client(chosen, access, "ec2").meta.endpoint_url == "https://ec2-fips.eu-central-1.api.aws"


def test_proxies_and_certificates_are_the_providers() -> None:
    assert load_config(httpProxy="http://p:1").proxies == {"http": "http://p:1", "https": "http://p:1"}
    config: Any = client_config(load_config(httpsProxy="http://p:2", s3UsEast1RegionalEndpoint="legacy"))
    assert config.proxies == {"https": "http://p:2"}
    assert config.s3 == {"us_east_1_regional_endpoint": "legacy"}
    for given, verify in (({"insecure": "true"}, False), ({"customCaBundle": "/ca.pem"}, "/ca.pem")):
        access = load_config(accessKey="a", secretKey="b", **given)
        made = make_client(make_session(access), access, "ec2")
        assert made._endpoint.http_session._verify == verify


def test_another_metadata_service_is_asked() -> None:
    base = make_session(load_config(ec2MetadataServiceEndpoint="http://127.0.0.1:1", ec2MetadataServiceEndpointMode="IPv6"))._session
    assert base.get_config_variable("ec2_metadata_service_endpoint") == "http://127.0.0.1:1"
    assert base.get_config_variable("ec2_metadata_service_endpoint_mode") == "ipv6"


def test_sessions_share_what_they_read_of_the_services_descriptions(sts: FakeSts) -> None:
    del sts
    plain = AwsConfig(region="eu-central-1", access_key="a", secret_key="b")
    assumed = AwsConfig(region="eu-central-1", access_key="a", secret_key="b", roles=(AssumedRole(arn="arn:aws:iam::123456789012:role/a"),))
    loaders = {id(cast("Any", make_session(one))._session.get_component("data_loader")) for one in (plain, plain, assumed)}
    assert len(loaders) == 1
