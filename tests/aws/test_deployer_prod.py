"""Whoever runs `pulumi up` for prod can do all of its life under the generated policy: that of a production stack, zone by zone.

A production stack is first made one that is not protected, then destroyed, as docs/deploying.md says. What it asks must be what dev's life
asks too (`test_deployer.py`): the policy is made from that one.
"""

import pytest

from ops.rights import needs
from tests.aws.asked import lines
from tests.aws.lives import Life, begun

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
def life() -> Life:
    """Preview, up, changes, refresh, reports, destroy."""
    with begun("prod") as lived:
        prod = lived.stack
        lived.as_previewer()
        prod.plan()
        lived.as_deployer()
        prod.up()
        prod.up(*CHANGED)
        prod.refresh()
        lived.hosts_report()
        prod.engine.destroy()
        return Life(heard=list(lived.api.heard))


def test_prods_life_under_the_generated_policy_is_refused_nothing(life: Life) -> None:
    assert {one.who for one in life.heard} == {"deployer", "reviewer"}
    assert life.refused() == []


def test_prods_life_asks_nothing_that_devs_does_not(life: Life) -> None:
    advice = "prod asks more than the life that the policy is made from: let dev's life in test_deployer.py ask it too, and record it"
    deployer = set(needs.needed("up")) | {one.line for one in needs.unseen("up")}
    assert lines(life.asks("deployer"), "prod") - deployer == set(), advice
    assert lines(life.asks("reviewer"), "prod") - set(needs.needed("preview")) == set(), advice
