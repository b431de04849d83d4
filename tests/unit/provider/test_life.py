"""The life of every implemented type: created, read, planned, changed, repaired after a drift, replaced, deleted.

The types are the registry's and their inputs the samples in the facts: a type that is added is tested, or fails for want of a sample. What
a type does besides is said by tests of its own.
"""

from dataclasses import replace
from typing import Any, cast

import pytest

from lab.provider.registry import REGISTRY, ResourceType
from lab.provider.spec.model import Sample
from tests.unit.provider.fake_engine import FakeEngine, Resource
from tests.unit.provider.samples import SampleMaker, sample_of
from tests.unit.provider.test_network import settled

TYPES = sorted(REGISTRY.resources)
SAMPLES = {token: found.spec.sample for token, found in sorted(REGISTRY.resources.items()) if found.spec.sample is not None}


@pytest.mark.parametrize("token", TYPES)
def test_a_resource_reads_as_made_and_is_gone_after_its_deletion(engine: FakeEngine, token: str) -> None:
    delete(engine, settled(engine, SampleMaker(engine).make(token)))


@pytest.mark.parametrize("token", [token for token, sample in SAMPLES.items() if sample.update])
def test_a_change_is_made_in_place_and_undone_where_somebody_else_made_it(engine: FakeEngine, token: str) -> None:
    samples = SampleMaker(engine)
    made, wanted = samples.make(token), samples.resolve(sample_of(token).update)
    plan = engine.diff(made, **wanted)
    assert changed_properties(plan) == wanted.keys()
    assert list(plan.replaces) == []
    changed = settled(engine, engine.update(made, **wanted))
    assert changed.id == made.id
    drifted = engine.refresh(made)
    assert drifted is not None
    drifted.inputs = made.inputs
    assert changed_properties(engine.diff(drifted)) == wanted.keys(), "what another one changed is seen"
    settled(engine, engine.update(drifted))


@pytest.mark.parametrize("token", [token for token, sample in SAMPLES.items() if sample.replace])
def test_a_replacement_takes_the_place_of_what_it_replaces(engine: FakeEngine, token: str) -> None:
    samples = SampleMaker(engine)
    old, wanted = samples.make(token), samples.resolve(sample_of(token).replace)
    plan = engine.diff(old, **wanted)
    assert list(plan.replaces) != []
    if plan.deleteBeforeReplace:
        delete(engine, old)
    new = samples.make(token, "new", **wanted)
    if not plan.deleteBeforeReplace:
        delete(engine, old)
    settled(engine, new)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (None, r"aws:ec2/vpc:Vpc in lab/provider/services/vpc/spec.yaml: give it a `sample` with `inputs` that AWS takes"),
        (Sample(inputs={}), r"its sample says nothing to `update`: one or more of enableDnsHostnames, enableDnsSupport, instanceTenancy$"),
        (Sample(inputs={}, update={"enableDnsSupport": False}), r"its sample says nothing to `replace`: one or more of cidrBlock$"),
    ],
    ids=["no sample", "no update", "no replacement"],
)
def test_a_type_without_a_whole_sample_is_told_what_to_add(monkeypatch: pytest.MonkeyPatch, sample: Sample | None, words: str) -> None:
    vpc = REGISTRY.resources["aws:ec2/vpc:Vpc"]
    monkeypatch.setitem(
        cast("dict[str, ResourceType]", REGISTRY.resources), "aws:ec2/vpc:Vpc", replace(vpc, spec=replace(vpc.spec, sample=sample))
    )
    with pytest.raises(AssertionError, match=words):
        sample_of("aws:ec2/vpc:Vpc")


def changed_properties(plan: Any) -> set[str]:
    """The properties that a plan changes; all tags follow from the tags."""
    return set(plan.diffs) - {"tagsAll"}


def delete(engine: FakeEngine, resource: Resource) -> None:
    """Deletes a resource. Fails unless whoever still has it in the state learns by a refresh that it is gone, and may delete it."""
    engine.delete(resource)
    if sample_of(resource.token).remains:
        assert engine.refresh(resource) is not None
    else:
        assert engine.refresh(resource) is None
        engine.delete(resource)
