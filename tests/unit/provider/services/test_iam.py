"""Roles: what is made is what AWS then shows, and what drifted is put back."""

import json
from typing import Any

import pytest

from tests.unit.provider.fake_engine import AbortedError, FakeEngine, Resource, boto_client
from tests.unit.provider.test_network import drifted, settled
from tests.unit.provider.test_schema import (
    READ,
    ROLE,
    ROLE_POLICY,
    TRUST,
)


def role(engine: FakeEngine, name: str = "web", **props: Any) -> Resource:
    """A role that EC2 may take."""
    return engine.create(ROLE, name, **{"name": name, "assumeRolePolicy": TRUST, **props})


def test_a_role_reads_as_made_and_changes_in_place(engine: FakeEngine) -> None:
    made = settled(engine, role(engine, description="a", maxSessionDuration=7200, tags={"a": "b"}))
    changed = engine.update(
        made, description="b", assumeRolePolicy=TRUST.replace("ec2", "vpc-flow-logs"), maxSessionDuration=None, tags=None
    )
    assert (changed["description"], changed["maxSessionDuration"], changed["tags"]) == ("b", 3600, {})
    settled(engine, changed)


def test_a_boundary_must_exist(engine: FakeEngine) -> None:
    with pytest.raises(AbortedError, match="does not exist or is not attachable"):
        role(engine, permissionsBoundary="arn:aws:iam::123456789012:policy/none")
    made = role(engine, "later")
    with pytest.raises(AbortedError, match="does not exist or is not attachable"):
        engine.update(made, permissionsBoundary="arn:aws:iam::123456789012:policy/none")


def test_an_inline_policy_that_somebody_widened_is_put_back(engine: FakeEngine) -> None:
    role(engine)
    policy = settled(engine, engine.create(ROLE_POLICY, "p", name="read", role="web", policy=READ))
    wide = READ.replace("s3:GetObject", "*")
    boto_client("iam").put_role_policy(RoleName="web", PolicyName="read", PolicyDocument=wide)
    assert drifted(engine, policy) == {"policy": "update"}
    settled(engine, engine.update(policy))


def test_a_role_with_policies_is_not_deleted(engine: FakeEngine) -> None:
    made = role(engine)
    policy = engine.create(ROLE_POLICY, "p", name="read", role="web", policy=READ)
    with pytest.raises(AbortedError, match="DeleteConflict"):
        engine.delete(made)
    engine.delete(policy)
    engine.delete(made)
    assert engine.refresh(made) is None


def test_a_role_shows_the_policies_that_were_put_into_it_later(engine: FakeEngine) -> None:
    role = engine.create(ROLE, "r", name="web", assumeRolePolicy=TRUST)
    assert role["inlinePolicies"] == []
    engine.create(ROLE_POLICY, "p", name="reads", role="web", policy=READ)
    seen = settled(engine, role)
    (inline,) = seen["inlinePolicies"]
    assert inline["name"] == "reads"
    assert json.loads(inline["policy"]) == json.loads(READ)
