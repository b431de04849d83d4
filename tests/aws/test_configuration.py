"""Bad configuration, end to end: it fails before any resource is registered, with a text for people."""

from pathlib import Path

import pytest
from pulumi import automation as auto

from tests.aws.harness import Stack


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("web.count=0", "network.cidr=10.20.0.0/33"), ("webstack:web.count", "webstack:network.cidr", "10.20.0.0/33")),
        (
            ("aws:region=eu-centrl-1", "network.cidr=10.20.0.0/22", "web.count=130"),
            ("2 mistakes", "did you mean eu-central-1?", "at most 58"),
        ),
        (("network.zones=4",), ("webstack:network.zones", "eu-central-1a, eu-central-1b, eu-central-1c")),
        (("web.cuont=3", "web.instanceType=t4g.small"), ("webstack:web.cuont", "count", "webstack:web.instanceType", "t4g.small")),
        (
            ("web.cuont=3", "database.instanceType=m9x.large", "network.zones=3", "web.count=3", "web.instanceType=m5zn.large"),
            (
                "3 mistakes",
                "webstack:web.cuont",
                "AWS knows none of this name there",
                "webstack:web.instanceType",
                "in eu-central-1 it is in eu-central-1a, eu-central-1b, not in eu-central-1c",
            ),
        ),
    ],
    ids=["two-mistakes", "no-region-and-no-room", "too-many-zones", "unknown-key-and-arm", "what-aws-does-not-offer"],
)
def test_bad_configuration_fails_before_any_resource_is_registered(
    untouched: Stack, settings: tuple[str, ...], said: tuple[str, ...]
) -> None:
    told = untouched.failed_up_result(*settings)
    text = "\n".join(told.errors)
    assert [name for name in told.registered if not name.startswith(("webstack-", "default"))] == []
    assert [part for part in said if part not in text] == [], text
    assert "Traceback" not in text
    assert 'File "' not in text


def test_another_account_than_the_allowed_ones_is_refused_before_anything_is_made(untouched: Stack) -> None:
    before = untouched.api.listing()
    told = untouched.failed_up_result("aws:allowedAccountIds=['210987654321']")
    text = "\n".join(told.errors)
    assert "AWS account ID not allowed: 123456789012" in text
    assert "aws:allowedAccountIds" in text
    assert "Traceback" not in text
    assert [name for name in told.registered if not name.startswith(("webstack-", "default"))] == []
    assert untouched.api.listing() == before
    with pytest.raises(auto.CommandError, match="AWS account ID not allowed: 123456789012"):
        untouched.plan("aws:allowedAccountIds=['210987654321']")


def test_a_folder_without_an_app_is_named(untouched: Stack, tmp_path: Path) -> None:
    told = untouched.failed_up_result(f"web.app={tmp_path}")
    text = "\n".join(told.errors)
    assert "webstack:web.app" in text
    assert str(tmp_path) in text
    assert "Traceback" not in text


def test_a_volume_that_would_shrink_is_refused_in_words_by_up_and_preview_and_nothing_changes(dev: Stack) -> None:
    before = dev.api.listing()
    told = dev.failed_up_result("database.volumeSize=9", "web.count=3")
    text = "\n".join(told.errors)
    assert told.steps == []
    assert [name for name in told.registered if not name.startswith(("webstack-", "default"))] == []
    assert "webstack:database.volumeSize" in text
    assert "has 10 GiB" in text
    assert "Traceback" not in text
    with pytest.raises(auto.CommandError, match=r"database\.volumeSize"):
        dev.plan("database.volumeSize=9")
    assert dev.api.listing() == before
    assert dev.plan() == []
