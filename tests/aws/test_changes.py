"""Each change replaces or updates exactly what it should. Plans, except where only doing it shows it; what is done is put back."""

from pathlib import Path

import pytest

from stack import configuration
from tests.aws.harness import Stack, replaced, updated

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


def pet(name: str) -> tuple[str, str]:
    """What changed user data of a pet updates: the object that names its hash, then the instance."""
    return f"{name}-configuration", name


def test_a_second_up_changes_nothing(dev: Stack, prod: Stack) -> None:
    assert dev.up() == []
    assert prod.plan() == []


def test_a_third_web_host_is_one_instance_and_its_address_in_dns_and_goes_the_same_way(dev: Stack) -> None:
    assert dev.up("web.count=3") == [("create", "dev-web-3"), ("update", "dev-web-name")]
    assert dev.up() == [("delete", "dev-web-3"), ("update", "dev-web-name")]


def test_a_changed_line_of_haproxy_cfg_is_one_update_of_an_object_and_of_no_instance(dev: Stack, copy: Path) -> None:
    edit(copy / "userdata/load_balancer/etc/haproxy/haproxy.cfg.j2", "maxconn 8000", "maxconn 7000")
    assert dev.plan(repository=copy) == [("update", "dev-lb-1-configuration")]
    assert dev.up(repository=copy) == [("update", "dev-lb-1-configuration")]
    content = dev.api.s3.get_object(Bucket=dev.api.bucket(), Key="configuration/lb-1.yaml")["Body"].read().decode()
    assert "maxconn 7000" in content
    assert dev.up() == [("update", "dev-lb-1-configuration")]


def test_a_changed_app_replaces_the_web_hosts_new_before_old_and_touches_no_other_host(dev: Stack, copy: Path) -> None:
    edit(copy / "app/static/shop.css", "{", "{ /* the next release */")
    expected = replaced("dev-web-1", "dev-web-2") + updated("dev-web-name")
    assert dev.plan(repository=copy) == sorted(expected)


def test_a_changed_static_file_of_the_databases_updates_the_databases_in_place(dev: Stack, copy: Path) -> None:
    script = copy / "userdata/database/usr/local/lib/webstack/database_role/gtid.py"
    script.write_text(script.read_text() + "# changed\n")
    assert dev.plan(repository=copy) == sorted(updated(*pet("dev-db-1"), *pet("dev-db-2")))


def test_a_changed_static_file_of_the_web_hosts_replaces_the_web_hosts(dev: Stack, copy: Path) -> None:
    script = copy / "userdata/web/etc/webstack/gunicorn.conf.py"
    script.write_text(script.read_text() + "# changed\n")
    expected = replaced("dev-web-1", "dev-web-2") + updated("dev-web-name")
    assert dev.plan(repository=copy) == sorted(expected)


def test_another_instance_type_replaces_web_hosts_new_before_old_and_updates_databases_in_place(dev: Stack) -> None:
    try:
        steps = dev.applied("web.instanceType=t3.medium", "database.instanceType=t3.medium").steps
        assert sorted(steps) == sorted([*replaced("dev-web-1", "dev-web-2"), *updated("dev-db-1", "dev-db-2", "dev-web-name")])
        made, named, gone = (
            [steps.index((op, name)) for name in names]
            for op, *names in (
                ("create-replacement", "dev-web-1", "dev-web-2"),
                ("update", "dev-web-name"),
                ("delete-replaced", "dev-web-1", "dev-web-2"),
            )
        )
        assert max(made) < named[0] < min(gone)
    finally:
        dev.up()


def test_a_larger_data_volume_grows_in_place_under_a_running_database(dev: Stack) -> None:
    assert dev.plan("database.volumeSize=20") == updated("dev-db-1-data", "dev-db-2-data")


def test_another_tag_updates_everything_that_can_bear_tags_and_replaces_nothing(dev: Stack) -> None:
    told = dev.planned("environment.tags={team: shop}")
    assert {op for op, _ in told.steps} == {"update"}
    assert sorted(told.kinds) == sorted(kind for kind in dev.kinds() if kind not in TAGLESS)


def test_without_a_replica_the_second_database_goes_and_the_first_is_told(dev: Stack) -> None:
    steps = dev.plan("database.replica=false")
    assert [step for step in steps if step[0] == "delete"] == [
        ("delete", f"dev-{name}") for name in ("db-2", "db-2-configuration", "db-2-data", "db-2-data", "db-2-name")
    ]
    assert [step for step in steps if step[0] != "delete"] == sorted(
        [*replaced("dev-web-1", "dev-web-2"), *updated(*pet("dev-db-1"), "dev-database", "dev-web-name")]
    )


@pytest.mark.parametrize(
    "zones",
    [("eu-central-1b", "eu-central-1c"), ("eu-central-10a", "eu-central-1a", "eu-central-1b", "eu-central-1c")],
    ids=["withdrawn", "added"],
)
def test_a_list_of_zones_that_aws_changes_changes_nothing(dev: Stack, monkeypatch: pytest.MonkeyPatch, zones: tuple[str, ...]) -> None:
    monkeypatch.setattr(configuration, "_region_zones", lambda: zones)
    assert dev.plan() == []


def test_another_zone_for_what_exists_is_refused_in_words_and_changes_nothing(dev: Stack) -> None:
    before = dev.api.listing()
    told = dev.failing_up("network.zoneNames=[eu-central-1b, eu-central-1c]")
    text = "\n".join(told.errors)
    assert told.steps == []
    assert "webstack:network.zoneNames[0]" in text
    assert "the zone that the stack is in, eu-central-1a" in text
    assert "Traceback" not in text
    assert dev.api.listing() == before


def test_a_zone_more_goes_where_no_zone_of_the_stack_is(dev: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    more = dev.plan("network.zones=3")
    assert [step for step in more if step[0] != "create"] == updated("dev-s3"), "only the S3 endpoint gets a route table more"
    monkeypatch.setattr(configuration, "_region_zones", lambda: ("eu-central-10a", "eu-central-1a", "eu-central-1b", "eu-central-1c"))
    assert dev.plan("network.zones=3") == more
