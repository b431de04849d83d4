"""Whoever runs `pulumi up` for prod can do all of its life under the generated policy: that of a production stack, zone by zone.

A production stack is first made one that is not protected, then destroyed, as docs/deploying.md says. What it asks must be what dev's life
asks too (`test_deployer.py`): the policy is made from that one.
"""

import pytest

from ops.permissions import required
from tests.aws.deployer_permissions import permissions_from
from tests.aws.lifecycle import LifecycleResult, lifecycle_run

CHANGED = (
    "web.instanceType=m7i.xlarge",
    "web.count=4",
    "database.volumeSize=200",
    "network.flowLogDays=30",
    "loadBalancer.balance=source",
    "environment.class=development",
)
"""What a life brings, and that the stack is protected no longer: else it refuses to be destroyed."""


@pytest.fixture(scope="module")
def life() -> LifecycleResult:
    """Preview, up, changes, refresh, reports, destroy."""
    with lifecycle_run("prod") as lived:
        prod = lived.stack
        lived.as_previewer()
        prod.plan()
        lived.as_deployer()
        prod.up()
        prod.up(*CHANGED)
        prod.refresh()
        lived.check_host_records()
        prod.engine.destroy()
        return LifecycleResult(decisions=list(lived.api.decisions))


def test_prods_life_under_the_generated_policy_is_refused_nothing(life: LifecycleResult) -> None:
    assert {one.role_name for one in life.decisions} == {"deployer", "reviewer"}
    assert life.denied() == []


def test_prods_life_asks_nothing_that_devs_does_not(life: LifecycleResult) -> None:
    advice = "prod asks more than the life that the policy is made from: let dev's life in test_deployer.py ask it too, and record it"
    deployer = set(required.observed_permissions("up")) | {one.permission for one in required.unobserved_permissions("up")}
    assert permissions_from(life.requests("deployer"), "prod") - deployer == set(), advice
    assert permissions_from(life.requests("reviewer"), "prod") - set(required.observed_permissions("preview")) == set(), advice
