"""The facts of AWS's provider (`services/*/spec.yaml`) against the lab's provider: every verdict of Diff, every refusal of Check.

They decide that the lab's tables are those that were read in the sources, and that no line of them is without a source or a property.
They cannot tell whether a source was read rightly: `docs/conformance.md` says what is confirmed by more than one.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, cast

import pytest

from lab.provider.codec import Asset
from lab.provider.diff import compute_diff
from lab.provider.registry import REGISTRY, resource_type
from lab.provider.rules.from_spec import with_spec
from lab.provider.rules.model import TypeRules
from lab.provider.schema import Shape, check_properties, nested_fields, output_names, resource_fields
from lab.provider.spec import common_spec, text_templates
from lab.provider.spec.model import UNSET, Case, ChangeEffect, Group, Input, ResourceSpec
from lab.provider.spec.parser import SpecError, parse

TYPES = sorted(REGISTRY.resources)


def facts(token: str) -> ResourceSpec:
    return resource_type(token).spec


INPUTS = [(token, path) for token in TYPES for path in facts(token).inputs]


def _never_absent(token: str) -> set[str]:
    """The inputs that Check refuses to be without, alone or together, and the one that it names itself."""
    told = facts(token)
    naming = {told.naming.field} if told.naming is not None else set[str]()
    together = {name for group in told.groups if group.kind in ("exactly one", "at least one") for name in group.of}
    return naming | together | {path for path, line in told.inputs.items() if line.required}


LEAVABLE = [(token, path) for token, path in INPUTS if path not in _never_absent(token)]


@pytest.mark.parametrize(("token", "path"), INPUTS)
def test_no_line_speaks_of_a_property_that_the_sdk_does_not_have(token: str, path: str) -> None:
    assert _shape(token, path) is not None


@pytest.mark.parametrize("token", TYPES)
def test_no_output_group_or_case_speaks_of_a_property_that_the_sdk_does_not_have(token: str) -> None:
    told, inputs = facts(token), resource_fields(token)
    assert set(told.outputs) - output_names(token) == set()
    assert {name for group in told.groups for name in group.of} - inputs.keys() == set()
    assert {name for case in told.cases for name in case.before.keys() | case.after.keys()} - inputs.keys() == set()
    templates = [told.id.format, *(output.format for output in told.outputs.values())]
    assert {name for template in templates for name in text_templates.placeholders(template)} - output_names(token) - {"id"} == set()


def test_every_source_is_named_by_a_line() -> None:
    named = {name: set(_sources(asdict(told))) for name, told in REGISTRY.services.items()}
    assert {name: told.sources.keys() - named[name] for name, told in REGISTRY.services.items() if told.sources.keys() - named[name]} == {}
    assert common_spec().sources.keys() - set(_sources(asdict(common_spec()))).union(*named.values()) == set()


@pytest.mark.parametrize(("token", "path"), INPUTS)
def test_a_changed_property_takes_what_the_source_says(token: str, path: str) -> None:
    line, (one, other) = facts(token).inputs[path], _samples(_shape(token, path))
    for conditions in _conditions(line):
        before, after = _put(token, path, one) | conditions, _put(token, path, other) | conditions
        assert _verdict(token, before, after) == _expected(token, path, line, conditions), (before, after)


@pytest.mark.parametrize(("token", "path"), LEAVABLE)
def test_a_property_that_is_left_out_takes_what_the_source_says(token: str, path: str) -> None:
    line, samples = facts(token).inputs[path], _samples(_shape(token, path))
    one = next(sample for sample in samples if sample != line.default and (sample is not False or line.default is not UNSET))
    for conditions in _conditions(line):
        verdict = "none" if line.computed else _expected(token, path, line, conditions)
        assert _verdict(token, _put(token, path, one) | conditions, _put(token, path, None) | conditions) == verdict
        if line.default is not UNSET:
            assert _verdict(token, _put(token, path, line.default) | conditions, _put(token, path, None) | conditions) == "none"


CASES = [(token, case) for token in TYPES for case in facts(token).cases]


@pytest.mark.parametrize(("token", "case"), CASES)
def test_a_change_takes_what_the_source_says_of_it(token: str, case: Case) -> None:
    assert _verdict(token, case.before, case.after) == case.effect


GROUPS = [(token, group) for token in TYPES for group in facts(token).groups]


@pytest.mark.parametrize(("token", "group"), GROUPS)
def test_properties_that_do_not_go_together_are_refused(token: str, group: Group) -> None:
    served = [name for name in group.of if name not in resource_type(token).rules.unsupported]
    given = {name: _samples(_shape(token, name))[0] for name in served}
    first = {name: given[name] for name in served[:1]}
    match group.kind:
        case "exactly one":
            assert _refused(token, given if len(served) > 1 else {}, "must be given")
            assert _refused(token, {}, "must be given")
        case "at least one":
            assert _refused(token, {}, "must be given")
        case "conflict":
            assert len(served) < 2 or _refused(token, given, "conflicts with") or _refused(token, given, "serves IPv6")
        case "needs":
            assert _refused(token, first, "needs")


@pytest.mark.parametrize("token", TYPES)
def test_what_is_required_is_asked_for(token: str) -> None:
    needed = {path for path, line in facts(token).inputs.items() if line.required and "." not in path and "[]" not in path}
    asked = {problem.path for problem in check_properties(token, {}) if problem.message == "missing required property"}
    assert asked == needed


TYPE = "types: {a: {id: {format: x, source: a.go}, iam_actions: {of: [ec2:DescribeVpcs], source: a.go}, "
SPOILT = [
    ("types: {a: {inputs: {}}}", "types.a.id: expected a mapping"),
    ("TYPE inputs: {b: {change: update}}}}", "types.a.inputs.b: has no `source`"),
    ("TYPE inputs: {b: {change: update, source: b.go}}}}", "types.a.inputs.b.source: expected https://"),
    ("TYPE inputs: {b: {change: updated, source: a.go}}}}", "expected one of update, replace"),
    ("TYPE inputs: {b: {change: update, computed: 1, source: a.go}}}}", "computed: expected bool; got 1"),
    ("TYPE input: {}}}", "types.a: unknown key 'input'"),
    ("TYPE notes: [{about: read, fact: b}]}}", "types.a.notes[0]: has no `source`"),
    ("types: [a]", "types: expected a mapping"),
    ("TYPE groups: [{kind: conflict, of: a, source: a.go}]}}", "expected a list of property names"),
    ("TYPE cases: {}}}", "cases: expected a list"),
    ("types: {a: {id: {format: x, source: a.go}}}", "types.a.iam_actions: expected a mapping"),
    ("types: {a: {id: {format: x, source: a.go}, iam_actions: {of: ec2:DescribeVpcs, source: a.go}}}", "expected a list of action names"),
    ("types: {a: {id: {format: x, source: a.go}, iam_actions: {of: [ec2:DescribeVpcs]}}}", "types.a.iam_actions: has no `source`"),
    ("TYPE sample: {update: {a: b}}}}", "types.a.sample: has no `inputs`"),
    ("TYPE sample: {inputs: {}, needs: a.B}}}", "types.a.sample.needs: expected a list of type names"),
    ("TYPE sample: {inputs: {}, replace: [a]}}}", "types.a.sample.replace: expected dict"),
    ("functions: {a: {id: {format: x}}}", "functions.a.id: has no `source`"),
    ("types: {", "not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rule"), SPOILT)
def test_a_spoilt_line_is_refused_with_its_place(text: str, rule: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse("x.yaml", text.replace("TYPE ", TYPE), {"a.go": "a file"})
    assert str(refused.value).startswith("x.yaml")
    assert rule in str(refused.value)


def test_rules_do_not_say_themselves_what_the_facts_are_for() -> None:
    with pytest.raises(ValueError, match="force_new belongs into"):
        with_spec("aws:ec2/vpc:Vpc", facts("aws:ec2/vpc:Vpc"), TypeRules(force_new=frozenset({"cidrBlock"})))


def test_a_text_made_up_from_a_format_has_the_format_and_another_has_not() -> None:
    properties = {"id": "subnet-1"}
    template = "arn:aws:ec2:{region}:{account}:subnet/{id}"
    text = text_templates.example_value(template, 7, properties)
    assert text == "arn:aws:ec2:eu-central-1:123456789012:subnet/subnet-1"
    assert text_templates.matches(template, text, properties)
    assert not text_templates.matches(template, text, {"id": "subnet-2"})
    assert not text_templates.matches(template, f"{text}.", properties)


@pytest.mark.parametrize("kind", sorted(text_templates.KINDS))
def test_every_kind_of_text_is_made_up_as_it_is_matched_and_differs_from_number_to_number(kind: str) -> None:
    texts = [text_templates.example_value(f"{{{kind}}}", number, {}) for number in (1, 2)]
    assert all(text_templates.matches(f"{{{kind}}}", text, {}) for text in texts)
    assert kind in ("account", "region", "top_level_domain") or texts[0] != texts[1]


def _expected(token: str, path: str, line: Input, conditions: dict[str, object]) -> ChangeEffect:
    told = facts(token)
    if told.naming is not None and path == told.naming.field and line.change == "replace":
        return "delete first"
    held = any(conditions.get(name) != value for name, value in line.unless.items())
    replaces = held if line.unless else line.change == "replace" or bool(line.when and line.when.items() <= conditions.items())
    return "replace" if replaces else "update"


def _conditions(line: Input) -> list[dict[str, object]]:
    return [{}, *(dict(values) for values in (line.when, line.unless) if values)]


def _verdict(token: str, before: Any, after: Any) -> ChangeEffect:
    found = compute_diff(token, state=before, old_inputs=before, news=after)
    if not found.changes:
        return "none"
    return ("delete first" if found.delete_before_replace else "replace") if found.replaces else "update"


def _refused(token: str, props: dict[str, Any], rule: str) -> bool:
    required = {path: _samples(field.shape)[0] for path, field in resource_fields(token).items() if field.required}
    return any(rule in problem.message for problem in check_properties(token, required | props))


def _shape(token: str, path: str) -> Shape:
    fields, shape = resource_fields(token), None
    for part in path.split("."):
        name, bracket, _ = part.partition("[]")
        assert name in fields, f"{token}: the SDK has no property {path}"
        shape = fields[name].shape
        shape = shape.inner[0] if bracket else shape
        fields = nested_fields(shape)
    assert shape is not None
    return shape


def _samples(shape: Shape) -> tuple[Any, Any]:
    """Two values of a shape."""
    match shape.kind:
        case "bool":
            return False, True
        case "int" | "float":
            return 1, 2
        case "asset":
            return Asset(hash="a", text="a"), Asset(hash="b", text="b")
        case "list":
            one, other = _samples(shape.inner[0])
            return [one], [other]
        case "map":
            one, other = _samples(shape.inner[0])
            return {"a": one}, {"a": other}
        case "obj":
            fields = nested_fields(shape)
            needed = {name: _samples(field.shape)[0] for name, field in fields.items() if field.required}
            name = next(iter(needed or fields))
            one, other = _samples(fields[name].shape)
            return needed | {name: one}, needed | {name: other}
        case "union":
            return _samples(shape.inner[0])
        case _:
            return "a", "b"


def _put(token: str, path: str, value: Any) -> dict[str, Any]:
    """Inputs with one value at a path; None leaves it out, and what holds it stays."""
    name, dot, rest = path.partition(".")
    bare = name.removesuffix("[]")
    inner = _put(token, rest, value) if dot else value
    if inner is None:
        return {}
    return {bare: [inner] if name.endswith("[]") else inner}


def _sources(value: object) -> Iterator[str]:
    """The first word of every source in the facts."""
    if isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            if key == "source":
                yield str(item).split(" ")[0]
            yield from _sources(item)
    elif isinstance(value, tuple):
        for item in cast("tuple[object, ...]", value):
            yield from _sources(item)
