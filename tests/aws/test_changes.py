"""Each change replaces or updates exactly what it should. Plans, except where only doing it shows it; what is done is put back."""

import re
from collections import Counter
from pathlib import Path

import pytest
from pulumi import automation as auto

from tests.aws.harness import Stack, replaced

WEB_HOSTS = ["dev-web-1", "dev-web-2"]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} no longer holds {old!r}: change this test with it"
    path.write_text(text.replace(old, new, 1))


def test_a_second_up_changes_nothing(each: Stack) -> None:
    assert each.up() == []


def test_a_third_web_host_is_one_instance_and_one_more_address_in_dns(dev: Stack) -> None:
    assert dev.up("web.count=3") == [("create", "dev-web-3"), ("update", "dev-web-name")]
    assert dev.up() == [("delete", "dev-web-3"), ("update", "dev-web-name")]


def test_a_changed_line_of_haproxy_cfg_is_one_update_of_the_load_balancer(dev: Stack, clone: Path) -> None:
    edit(clone / "userdata/load_balancer/etc/haproxy/haproxy.cfg.j2", "maxconn 8000", "maxconn 7000")
    assert dev.of(clone).plan() == [("update", "dev-lb-1")]


def test_a_changed_app_replaces_the_web_hosts_and_nothing_else(dev: Stack, clone: Path) -> None:
    (clone / "app/static/shop.css").write_text("body { color: teal }\n")
    steps = dev.of(clone).plan()
    bundles = [(op, name.rpartition("-")[0]) for op, name in steps if "bundle" in name]
    assert sorted(bundles) == [("create", "dev-app-bundle"), ("delete", "dev-app-bundle")]
    hosts = [step for step in steps if "bundle" not in step[1] and step != ("update", "dev-web-name")]
    assert hosts == sorted(step for name in WEB_HOSTS for step in replaced(name))


def test_a_changed_file_of_a_role_s_bundle_updates_that_role_s_hosts(dev: Stack, clone: Path) -> None:
    script = clone / "userdata/database/usr/local/lib/webstack/database_role/gtid.py"
    script.write_text(script.read_text() + "# a comment\n")
    steps = dev.of(clone).plan()
    assert [step for step in steps if "bundle" not in step[1]] == [("update", "dev-db-1"), ("update", "dev-db-2")]


def test_another_instance_type_of_the_databases_is_an_update_in_place(dev: Stack) -> None:
    assert dev.plan("database.instanceType=t3.large") == [("update", "dev-db-1"), ("update", "dev-db-2")]


def test_a_larger_data_volume_grows_in_place(dev: Stack) -> None:
    assert dev.plan("database.volumeSize=40") == [("update", "dev-db-1-data"), ("update", "dev-db-2-data")]


def test_another_tag_updates_and_replaces_nothing(dev: Stack) -> None:
    steps = dev.plan('environment.tags={"team": "shop"}')
    assert Counter(op for op, _ in steps).keys() == {"update"}
    assert {"dev-vpc", "dev-web-1", "dev-db-1", "dev-lb-1"} <= {name for _, name in steps}


def test_drift_is_seen_by_a_refresh_and_put_right(dev: Stack) -> None:
    ec2 = dev.ec2()
    (volume,) = ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": ["dev-db-1-data"]}])["Volumes"]
    ec2.create_tags(Resources=[volume.get("VolumeId", "")], Tags=[{"Key": "component", "Value": "stranger"}])
    with dev.engine() as engine:
        engine.refresh()
    assert dev.plan() == [("update", "dev-db-1-data")]
    assert dev.up() == [("update", "dev-db-1-data")]
    assert dev.plan() == []


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (["web.count=0"], "webstack:web.count = 0"),
        (["network.zones=4"], "webstack:network.zones = 4"),
        (["web.cuont=3"], "did you mean count?"),
    ],
)
def test_bad_configuration_fails_before_anything_is_registered(dev: Stack, settings: list[str], key: str) -> None:
    before = dev.listing()
    said: list[str] = []
    with dev.engine(*settings) as engine, pytest.raises(auto.CommandError):
        engine.up(on_output=said.append)
    text = "\n".join(said)
    assert key in text
    assert "Traceback" not in text
    assert re.search(r"\d+ to (create|update|delete)|created|deleted", text) is None
    assert dev.listing() == before


def test_prod_refuses_to_be_destroyed(prod: Stack) -> None:
    before = prod.listing()
    with prod.engine() as engine, pytest.raises(auto.CommandError, match="protect"):
        engine.destroy()
    assert prod.listing() == before


def test_dev_is_destroyed_to_nothing(dev: Stack, fresh: dict[str, Counter[str]]) -> None:
    with dev.engine() as engine:
        engine.destroy()
    assert dev.listing() == fresh
