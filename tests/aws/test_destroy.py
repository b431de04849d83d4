"""The end of a stack: prod refuses it, dev leaves nothing. Runs after every test that looks at these stacks."""

import pytest
from pulumi import automation as auto

from tests.aws.api import Listing
from tests.aws.harness import Stack


def test_prod_refuses_to_be_destroyed_and_loses_nothing(prod: Stack) -> None:
    before = prod.api.listing()
    with pytest.raises(auto.CommandError, match=r"cannot be deleted\s+because it is protected"):
        prod.engine.destroy()
    assert prod.api.listing() == before


def test_prod_protects_what_holds_data_or_addresses_and_no_cattle(prod: Stack) -> None:
    deployment = prod.engine.stack.export_stack().deployment or {}
    protected = {resource["urn"].rpartition("::")[2] for resource in deployment["resources"] if resource.get("protect")}
    secrets = {"database-replication", "database-clone", "app-migrator", "app-writer", "app-reader", "app-session-key", "web-tls"}
    others = {"address", "artifacts", "zone", "lb-1", "db-1", "db-2", "db-1-data", "db-2-data", "stack-id"}
    assert protected == {f"prod-{thing}" for thing in secrets | others}


def test_dev_is_destroyed_to_nothing(dev: Stack, fresh: Listing) -> None:
    assert dev.api.listing() != fresh
    dev.engine.destroy()
    assert dev.api.listing() == fresh
