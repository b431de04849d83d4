"""A type is its facts and a class in its service's folder, and nothing else: what one of them lacks is told with both names."""

import re
from pathlib import Path

import pytest

from lab.provider import registry, services
from lab.provider.handler import Handler
from lab.provider.registry import REGISTRY, RegistryError, UnknownTypeError, class_name, discover, pair_classes, resource_type
from lab.provider.spec.parser import SpecError

FACTS = """
sources:
  queue.go: terraform-provider-aws internal/service/sqs/queue.go

types:
  aws:sqs/queue:Queue:
    id: {format: "{words}", source: queue.go Create}
    iam_actions: {of: [sqs:GetQueueAttributes], source: queue.go Read}
    inputs:
      name: {change: replace, source: queue.go name}

functions:
  aws:sqs/getQueue:getQueue:
    id: {format: "{words}", source: queue.go Read}
    iam_actions: {of: [sqs:GetQueueUrl], source: queue.go Read}
"""
MODULE = """
from lab.provider.handler import Function, Handler
from lab.provider.rules.model import TypeRules
from lab.provider.rules.validators import length


class Queue(Handler):
    label = "SQS Queue"
    rules = TypeRules(checks={"name": length(1, 80)})

    def create(self, client, news):
        return news["name"]

    def read(self, client, identifier, state):
        return {"name": identifier}

    def update(self, client, identifier, olds, news, changed):
        pass

    def delete(self, client, identifier, state):
        pass


class GetQueue(Function):
    def invoke(self, client, arguments):
        return {"id": arguments["name"]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A further service's folder, which is named as the test is: a module is imported once."""
    made = tmp_path / f"service_of_{re.sub(r'[^a-z]', '_', request.node.name)}"
    made.mkdir()
    (made / "__init__.py").touch()
    (made / "spec.yaml").write_text(FACTS)
    (made / "queue.py").write_text(MODULE)
    monkeypatch.setattr(services, "__path__", [*services.__path__, str(tmp_path)])
    return made


def test_a_service_more_is_its_folder_and_nothing_else(folder: Path) -> None:
    found = discover()
    assert found.resources.keys() - REGISTRY.resources.keys() == {"aws:sqs/queue:Queue"}
    assert found.functions.keys() - REGISTRY.functions.keys() == {"aws:sqs/getQueue:getQueue"}
    queue = found.resources["aws:sqs/queue:Queue"]
    assert (queue.service, type(queue.handler).__name__, queue.rules.force_new) == (folder.name, "Queue", {"name"})
    assert queue.rules.checks["name"]("") == "expected 1 to 80 characters, got 0", "the class's own rules stay"


def test_facts_without_a_class_are_told_with_both_names(folder: Path) -> None:
    (folder / "queue.py").write_text(MODULE.replace("class Queue(", "class Quueue("))
    with pytest.raises(RegistryError, match=rf"{folder.name}/spec.yaml has facts of aws:sqs/queue:Queue, and no .* class Queue$"):
        discover()


def test_a_class_without_facts_is_told_with_both_names(folder: Path) -> None:
    (folder / "topic.py").write_text(MODULE.replace("class Queue(", "class Topic(").partition("class GetQueue")[0])
    with pytest.raises(RegistryError, match=rf"services.{folder.name}.topic has a class Topic, and {folder.name}/spec.yaml no facts"):
        discover()


def test_a_function_without_a_class_is_told(folder: Path) -> None:
    (folder / "queue.py").write_text(MODULE.partition("class GetQueue")[0])
    with pytest.raises(RegistryError, match=r"facts of aws:sqs/getQueue:getQueue, and no module beside it has a class GetQueue"):
        discover()


@pytest.mark.parametrize(
    ("own", "taken"), [("aws:sqs/queue:Queue", "aws:ec2/vpc:Vpc"), ("aws:sqs/getQueue:getQueue", "aws:ssm/getParameter:getParameter")]
)
def test_a_type_or_function_has_facts_in_one_folder(folder: Path, own: str, taken: str) -> None:
    (folder / "spec.yaml").write_text(FACTS.replace(own, taken))
    (folder / "queue.py").write_text(MODULE.replace(f"class {class_name(own)}(", f"class {class_name(taken)}("))
    with pytest.raises(RegistryError, match=f"/spec.yaml: another service's spec.yaml has facts of {taken} too"):
        discover()


def test_a_malformed_line_is_told_with_its_service(folder: Path) -> None:
    (folder / "spec.yaml").write_text(FACTS.replace("change: replace", "change: replaced"))
    with pytest.raises(SpecError, match=rf"^{folder.name}/spec.yaml: types.aws:sqs/queue:Queue.inputs.name.change: expected one of"):
        discover()


def test_two_types_of_a_folder_do_not_end_alike() -> None:
    with pytest.raises(RegistryError, match="aws:a/rule:Rule and aws:b/rule:Rule are both called Rule"):
        pair_classes("x", ["aws:a/rule:Rule", "aws:b/rule:Rule"], list[type[Handler]]())


def test_a_type_that_is_not_implemented_is_told_with_those_that_are() -> None:
    with pytest.raises(UnknownTypeError, match=r"aws:sqs/queue:Queue: .* does not implement this resource type; it implements aws:.*Vpc"):
        resource_type("aws:sqs/queue:Queue")
    with pytest.raises(UnknownTypeError, match=r"does not implement this function"):
        registry.function_type("aws:sqs/getQueue:getQueue")
