"""Secrets and their versions: names that are taken, values, and labels that move."""

import re
from typing import Any

import pytest

from lab.provider.api_client import ApiClient
from lab.provider.codec import Secret
from tests.unit.provider.fake_engine import AbortedError, FakeEngine, boto_client
from tests.unit.provider.test_network import settled
from tests.unit.provider.test_schema import (
    SECRET,
    SECRET_VERSION,
)


def test_a_secret_that_waits_for_its_end_blocks_its_name(engine: FakeEngine) -> None:
    made = settled(engine, engine.create(SECRET, "s", name="webstack/dev/x", description="d", tags={"a": "b"}))
    with pytest.raises(AbortedError, match=r"ResourceExistsException"):
        engine.create(SECRET, "second", name="webstack/dev/x")
    engine.delete(made)
    assert engine.refresh(made) is None
    with pytest.raises(AbortedError, match=r"InvalidRequestException.*scheduled for deletion"):
        engine.create(SECRET, "again", name="webstack/dev/x")
    with pytest.raises(AbortedError, match=r"InvalidRequestException.*marked for deletion"):
        engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("x"))


def test_a_secret_whose_name_is_being_freed_is_tried_for_until_it_is_free(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x")
    engine.delete(made)
    call, tries = ApiClient.call, 0

    def third_time(self: ApiClient, operation: str, /, **parameters: Any) -> dict[str, Any]:
        nonlocal tries
        if operation == "secretsmanager.create_secret":
            tries += 1
            if tries == 3:
                boto_client("secretsmanager").delete_secret(SecretId=made.id, ForceDeleteWithoutRecovery=True)
        return call(self, operation, **parameters)

    monkeypatch.setattr(ApiClient, "call", third_time)
    engine.create(SECRET, "again", name="webstack/dev/x")
    assert tries == 3


def test_a_secret_without_a_recovery_window_frees_its_name_at_once(engine: FakeEngine) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x", recoveryWindowInDays=0)
    engine.delete(made)
    engine.create(SECRET, "again", name="webstack/dev/x")


def test_a_secrets_value_reads_as_made(engine: FakeEngine) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x", tags={"a": "b"})
    version = settled(engine, engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("hunter2")))
    assert re.fullmatch(re.escape(made.id) + r"\|terraform-\d{18}[0-9a-f]{8}", version.id), "id.UniqueId of the Terraform plugin SDK"
    engine.delete(version)
    changed = settled(engine, engine.update(made, description="new", tags={"c": "d"}))
    assert (changed["description"], changed["tags"]) == ("new", {"c": "d"})


def labels(secret: str) -> dict[str, str]:
    """Label → version."""
    held = boto_client("secretsmanager").describe_secret(SecretId=secret)["VersionIdsToStages"]
    return {label: version for version, found in held.items() for label in found}


def rotated(secret: str) -> tuple[str, str]:
    """A secret whose current value is another one; the version before and the current one."""
    secrets, first = boto_client("secretsmanager"), labels(secret)["AWSCURRENT"]
    second = secrets.put_secret_value(SecretId=secret, SecretString="two", VersionStages=["AWSPENDING"])["VersionId"]
    secrets.update_secret_version_stage(SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first)
    return first, second


def test_a_version_reads_as_made_whatever_its_labels_have_become(engine: FakeEngine) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x")
    version = engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("one"))
    first, _ = rotated(made.id)
    read = settled(engine, version)
    assert (read["versionId"], read["versionStages"]) == (first, ["AWSPREVIOUS"])
    boto_client("secretsmanager").update_secret_version_stage(SecretId=made.id, VersionStage="AWSPREVIOUS", RemoveFromVersionId=first)
    assert settled(engine, version)["versionStages"] == [], "deprecated, and still there"


def test_a_version_that_is_given_labels_takes_the_current_one_back(engine: FakeEngine) -> None:
    """Why the program gives none: an `up` would bring yesterday's password back."""
    made = engine.create(SECRET, "s", name="webstack/dev/x")
    version = engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("one"), versionStages=["AWSCURRENT"])
    first, second = rotated(made.id)
    read = engine.refresh(version)
    assert read is not None
    assert read["versionStages"] == ["AWSPREVIOUS"]
    engine.update(read, secretId=made.id, secretString=Secret("one"), versionStages=["AWSCURRENT"])
    assert labels(made.id)["AWSCURRENT"] == first
    assert labels(made.id)["AWSPREVIOUS"] == second


def test_a_label_that_has_moved_on_since_the_last_refresh_is_in_the_way_of_a_version_s_deletion(engine: FakeEngine) -> None:
    made = engine.create(SECRET, "s", name="webstack/dev/x")
    version = engine.create(SECRET_VERSION, "v", secretId=made.id, secretString=Secret("one"))
    rotated(made.id)
    read = engine.refresh(version)
    assert read is not None
    rotated(made.id)
    with pytest.raises(AbortedError, match="AWSPREVIOUS not found"):
        engine.delete(read)
