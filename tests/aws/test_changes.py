"""Changes as the engine plans them: what the table's edits of files touch, what it refuses, and what AWS changes without being asked.

`test_table_of_changes.py` makes the table's rows.
"""

from pathlib import Path

import pytest

from stack import configuration
from tests.aws.harness import Stack, updated
from tests.changes.model import Edit, apply_edit, steps
from tests.changes.table import CHANGES

TAGLESS = {
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/volumeAttachment:VolumeAttachment",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:route53/record:Record",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:secretsmanager/secretVersion:SecretVersion",
    "random:index/randomPassword:RandomPassword",
    "random:index/randomString:RandomString",
}
"""What bears no tags on AWS: what joins two things, is a part of one, or is no thing of AWS at all."""


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} no longer holds {old!r}: change this test with it"
    path.write_text(text.replace(old, new, 1))


def test_a_second_up_changes_nothing(dev: Stack, prod: Stack) -> None:
    assert dev.up() == []
    assert prod.plan() == []


EDITS = [(name, case.edit) for name, row in CHANGES.items() for case in row.examples[1:] if case.edit]
"""But for each row's first case, which is made elsewhere."""


@pytest.mark.parametrize(("name", "wanted"), EDITS, ids=[f"{name} {wanted.file.rpartition('/')[2]}" for name, wanted in EDITS])
def test_a_changed_file_touches_what_its_row_says(dev: Stack, copy: Path, name: str, wanted: Edit) -> None:
    apply_edit(wanted, copy)
    assert [f"{operation} {what.removeprefix('dev-')}" for operation, what in dev.plan(repository=copy)] == steps(CHANGES[name])


REFUSED = [(name, case.sets) for name, row in CHANGES.items() for case in row.examples if row.expected_error]


@pytest.mark.parametrize(("name", "sets"), REFUSED, ids=[" ".join((name, *sets)) for name, sets in REFUSED])
def test_what_the_table_calls_refused_is_refused_in_words_and_changes_nothing(dev: Stack, name: str, sets: tuple[str, ...]) -> None:
    before = dev.api.listing()
    told = dev.failed_up_result(*sets)
    text = "\n".join(told.errors)
    assert told.steps == []
    assert f"webstack:{sets[0].partition('=')[0]}" in text
    assert CHANGES[name].expected_error in text
    assert "Traceback" not in text
    assert dev.api.listing() == before


def test_rows_without_steps_change_nothing(dev: Stack) -> None:
    quiet = [row for row in CHANGES.values() if not (row.chains or row.expected_error or row.retags_everything)]
    assert dev.plan(*(text for row in quiet for case in row.examples for text in case.sets)) == []


def test_another_tag_updates_everything_that_can_bear_tags_and_replaces_nothing(dev: Stack) -> None:
    told = dev.plan_result("environment.tags={team: shop}")
    assert {op for op, _ in told.steps} == {"update"}
    assert sorted(told.resource_types) == sorted(kind for kind in dev.resource_types() if kind not in TAGLESS)


def aws_lists(monkeypatch: pytest.MonkeyPatch, *zones: str) -> None:
    """AWS says from now on that these zones are available."""

    def answer(region: str) -> tuple[str, ...]:
        assert region == "eu-central-1"
        return zones

    monkeypatch.setattr(configuration, "_region_zones", answer)


@pytest.mark.parametrize(
    "zones",
    [("eu-central-1b", "eu-central-1c"), ("eu-central-1b",), (), ("eu-central-10a", "eu-central-1a", "eu-central-1b", "eu-central-1c")],
    ids=["withdrawn", "fewer-than-the-stack-is-in", "none", "added"],
)
def test_a_list_of_zones_that_aws_changes_changes_nothing(dev: Stack, monkeypatch: pytest.MonkeyPatch, zones: tuple[str, ...]) -> None:
    aws_lists(monkeypatch, *zones)
    assert dev.plan() == []
    assert dev.plan("network.zoneNames=[eu-central-1a, eu-central-1b]") == []


def test_networks_that_have_no_room_beside_the_old_ones_are_refused_before_anything_is_done_and_the_way_told_works(dev: Stack) -> None:
    wanted = [f"192.0.2.{number}/32" for number in range(30)]
    told = dev.failed_up_result(f"loadBalancer.allowedCidrs=[{', '.join(wanted)}]")
    text = "\n".join(told.errors)
    assert told.steps == []
    assert "webstack:loadBalancer.allowedCidrs" in text
    assert "first with 29 of those that come, then with the whole list" in text
    assert "Traceback" not in text
    try:
        for count in (29, 30):
            assert dev.up(f"loadBalancer.allowedCidrs=[{', '.join(wanted[:count])}]") != []
    finally:
        dev.up("loadBalancer.allowedCidrs=[192.0.2.0/32]")
        dev.up()
    assert dev.plan() == []


def test_a_zone_more_goes_where_no_zone_of_the_stack_is(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    more = dev.plan("network.zones=3")
    assert [step for step in more if step[0] != "create"] == updated("dev-load-balancer", "dev-s3"), (
        "only the S3 endpoint gets a route table more, and the load balancers' rights a subnet"
    )
    aws_lists(monkeypatch, "eu-central-10a", "eu-central-1a", "eu-central-1b", "eu-central-1c")
    assert dev.plan("network.zones=3") == more
