"""Resources made of the samples that stand in the facts, with what they refer to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from lab.provider.codec import Props
from lab.provider.registry import REGISTRY, SPEC_FILE, class_name, resource_type
from lab.provider.spec.model import Sample
from tests.unit.provider.fake_engine import FakeEngine, Resource

_REFERENCE: Final = re.compile(r"\$\{(other )?(\w+\.\w+)\.(\w+)\}")
_TOKENS: Final = {f"{found.service}.{class_name(token)}": token for token, found in REGISTRY.resources.items()}


def sample_of(token: str) -> Sample:
    """The sample of a type; fails with what is to be written where a type has none, or one that lacks a part."""
    found = resource_type(token)
    sample = found.spec.sample
    place = f"{token} in lab/provider/services/{found.service}/{SPEC_FILE}"
    assert sample is not None, f"{place}: give it a `sample` with `inputs` that AWS takes, and what of them can `update` and `replace`"
    lines = {
        name: line for name, line in found.spec.inputs.items() if not re.search(r"[.\[]", name) and name not in found.rules.unsupported
    }
    updatable = sorted(name for name, line in lines.items() if line.change == "update" and not line.local_only)
    replacing = sorted(name for name, line in lines.items() if line.change == "replace")
    assert sample.update or not updatable, f"{place}: its sample says nothing to `update`: one or more of {', '.join(updatable)}"
    assert sample.replace or not replacing, f"{place}: its sample says nothing to `replace`: one or more of {', '.join(replacing)}"
    return sample


@dataclass
class SampleMaker:
    """Makes a resource of each sample once, and where it is asked for another."""

    engine: FakeEngine
    _made: dict[tuple[str, bool], Resource] = field(default_factory=dict[tuple[str, bool], Resource])

    def make(self, token: str, name: str = "it", /, **changed: object) -> Resource:
        """A resource of a type's sample, with some inputs changed."""
        sample = sample_of(token)
        for needed in sample.needs:
            self._referred(needed, other=False)
        given = self.resolve({**sample.inputs, **changed})
        return self.engine.create(token, name, **{key: value for key, value in given.items() if value is not None})

    def resolve(self, properties: Mapping[str, object]) -> Props:
        """The properties with the outputs that they refer to."""
        return cast("Props", self._resolved(dict(properties)))

    def _resolved(self, value: object) -> object:
        match value:
            case str():
                return _REFERENCE.sub(lambda found: str(self._output(found)), value)
            case list():
                return [self._resolved(item) for item in cast("list[object]", value)]
            case dict():
                return {key: self._resolved(item) for key, item in cast("dict[str, object]", value).items()}
            case _:
                return value

    def _output(self, found: re.Match[str]) -> object:
        made = self._referred(found[2], other=found[1] is not None)
        return made.id if found[3] == "id" else made[found[3]]

    def _referred(self, name: str, *, other: bool) -> Resource:
        assert name in _TOKENS, f"a sample refers to {name}; there are {', '.join(sorted(_TOKENS))}"
        token = _TOKENS[name]
        if (name, other) not in self._made:
            self._made[name, other] = self.make(token, "other" if other else "needed", **(sample_of(token).replace if other else {}))
        return self._made[name, other]
