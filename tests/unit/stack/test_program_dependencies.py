"""In the whole program: what waits for what."""

import pytest

from tests.unit.stack.conftest import ProgramRunner
from tests.unit.stack.program_queries import INSTANCE, hosts, short

COMMON_DEPENDENCIES = {"dev-s3", "dev-artifacts"}
DEPENDENCIES = {
    "lb-1": {
        "dev-public-internet", "dev-public-1-routes", "dev-load-balancer", "dev-address",
        "dev-internet-to-load-balancer-80-in", "dev-internet-to-load-balancer-443-in", "dev-load-balancer-to-web-8443-out",
        "dev-load-balancer-to-internet-443-out", "dev-load-balancer-to-internet-80-out",
    },
    "web-1": {
        "dev-private-1-internet", "dev-app-1-routes", "dev-web", "dev-app-migrator", "dev-app-writer", "dev-app-reader",
        "dev-app-session-key", "dev-load-balancer-to-web-8443-in", "dev-web-to-database-3306-out", "dev-web-to-database-9200-out",
        "dev-web-to-internet-443-out", "dev-web-to-internet-80-out",
    },
    "db-1": {
        "dev-private-1-internet", "dev-data-1-routes", "dev-database", "dev-db-1-data", "dev-database-replication", "dev-database-clone",
        "dev-app-migrator", "dev-app-writer", "dev-app-reader", "dev-web-to-database-3306-in", "dev-web-to-database-9200-in",
        "dev-database-to-database-3306-in", "dev-database-to-database-3306-out", "dev-database-to-database-9200-in",
        "dev-database-to-database-9200-out", "dev-database-to-internet-443-out", "dev-database-to-internet-80-out",
    },
}  # fmt: skip


@pytest.mark.parametrize("host", ["lb-1", "web-1", "db-1"])
def test_an_instance_waits_for_all_that_it_needs_to_boot(program: ProgramRunner, host: str) -> None:
    result = program("dev")
    item = hosts(result)[host]
    awaited = result.dependencies(item)
    assert (
        DEPENDENCIES[host] | COMMON_DEPENDENCIES | {"dev-db-1-name", "dev-db-2-name", "dev-lb-1-name", "dev-zone-soa"}
    ) - awaited == set()
    kinds = {short(other.token) for other in result.resources if other.urn in item.depends_on}
    assert {"Route", "RouteTableAssociation", "VpcEndpoint", "RolePolicy", "SecurityGroupEgressRule"} <= kinds
    # The user data comes of the step that puts the bundles into the bucket, and that step comes after these.
    settings = {short(other.token) for other in result.resources if other.urn in item.property_dependencies["userData"]}
    awaited_of_the_bucket = {"Bucket", "BucketPublicAccessBlock", "BucketOwnershipControls", "BucketVersioning", "BucketPolicy"}
    assert awaited_of_the_bucket | {"BucketServerSideEncryptionConfiguration"} <= settings
    assert "BucketLifecycleConfiguration" not in settings, "it takes the longest of all, and no host needs it"
    assert "SecretVersion" in kinds


def test_no_host_waits_for_another_when_nothing_is_there_yet(program: ProgramRunner) -> None:
    result = program("dev")
    instances = {item.name for item in result.by_type(INSTANCE)}
    for item in result.by_type(INSTANCE):
        assert not result.dependencies(item) & instances, f"{item.name} lengthens the critical path"


def test_ways_out_wait_for_their_gateways(program: ProgramRunner) -> None:
    result = program("dev")
    assert {"dev-gateway", "dev-public-internet", "dev-public-1-routes"} <= result.dependencies(result.by_name("dev-nat-1"))
    assert "dev-gateway" in result.dependencies(result.by_name("dev-nat-1-address"))
    assert "dev-nat-1" in result.dependencies(result.by_name("dev-private-2-internet"))


def test_the_web_tiers_name_waits_for_its_hosts_and_lists_them_all(program: ProgramRunner) -> None:
    result = program("dev")
    record = result.by_name("dev-web-name")
    assert {"dev-web-1", "dev-web-2"} <= result.dependencies(record)
    assert (record.inputs["name"], record.inputs["type"], record.inputs["ttl"]) == ("web.dev.webstack.internal", "A", 5)
    assert len(record.inputs["records"]) == 2
