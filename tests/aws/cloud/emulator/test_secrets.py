"""Secrets: names in recovery, and labels of versions as AWS moves them.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
"""

from typing import Any

import pytest

from tests.aws.cloud.support import client, refused


@pytest.fixture
def secrets(api: str) -> Any:
    made = client("secretsmanager", api)
    made.create_secret(Name="x", SecretString="one")
    return made


def versions(secrets: Any) -> dict[str, str]:
    """Label → version."""
    return {label: version for version, held in secrets.describe_secret(SecretId="x")["VersionIdsToStages"].items() for label in held}


def propose(secrets: Any, value: str) -> str:
    return secrets.put_secret_value(SecretId="x", SecretString=value, VersionStages=["AWSPENDING"])["VersionId"]


def test_a_version_that_becomes_the_current_one_is_read_and_the_one_before_is_the_previous(secrets: Any) -> None:
    first = versions(secrets)["AWSCURRENT"]
    second = propose(secrets, "two")
    assert secrets.get_secret_value(SecretId="x")["SecretString"] == "one"
    secrets.update_secret_version_stage(SecretId="x", VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first)
    assert secrets.get_secret_value(SecretId="x")["SecretString"] == "two"
    assert secrets.get_secret_value(SecretId="x", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    assert versions(secrets) == {"AWSCURRENT": second, "AWSPENDING": second, "AWSPREVIOUS": first}
    secrets.update_secret_version_stage(SecretId="x", VersionStage="AWSPREVIOUS", RemoveFromVersionId=first)
    assert versions(secrets) == {"AWSCURRENT": second, "AWSPENDING": second}
    assert secrets.get_secret_value(SecretId="x", VersionId=first)["SecretString"] == "one", "deprecated, and not gone yet"


def test_a_label_that_is_elsewhere_is_moved_only_by_who_says_where_it_is(secrets: Any) -> None:
    first, second = versions(secrets)["AWSCURRENT"], propose(secrets, "two")
    secrets.update_secret_version_stage(SecretId="x", VersionStage="kept", MoveToVersionId=first)
    for label in ("kept", "AWSCURRENT"):
        assert (
            refused(secrets.update_secret_version_stage, SecretId="x", VersionStage=label, MoveToVersionId=second)
            == "InvalidParameterException"
        )
    assert versions(secrets) == {"AWSCURRENT": first, "kept": first, "AWSPENDING": second}


def test_what_is_current_can_only_be_moved(secrets: Any) -> None:
    first = versions(secrets)["AWSCURRENT"]
    assert (
        refused(secrets.update_secret_version_stage, SecretId="x", VersionStage="AWSCURRENT", RemoveFromVersionId=first)
        == "InvalidParameterException"
    )
    assert versions(secrets) == {"AWSCURRENT": first}


def test_labels_of_ones_own_stay_when_a_new_value_takes_the_place_of_a_version(secrets: Any) -> None:
    first = versions(secrets)["AWSCURRENT"]
    secrets.update_secret_version_stage(SecretId="x", VersionStage="kept", MoveToVersionId=first)
    second = secrets.put_secret_value(SecretId="x", SecretString="two")["VersionId"]
    assert versions(secrets) == {"AWSCURRENT": second, "AWSPREVIOUS": first, "kept": first}


def test_a_name_in_recovery_is_taken(api: str) -> None:
    secrets = client("secretsmanager", api)
    secrets.create_secret(Name="x", SecretString="y")
    assert refused(secrets.create_secret, Name="x", SecretString="y") == "ResourceExistsException"
    secrets.delete_secret(SecretId="x")
    assert refused(secrets.create_secret, Name="x", SecretString="y") == "InvalidRequestException"
    assert refused(secrets.put_secret_value, SecretId="x", SecretString="z") == "InvalidRequestException"
    secrets.restore_secret(SecretId="x")
    secrets.put_secret_value(SecretId="x", SecretString="z")
