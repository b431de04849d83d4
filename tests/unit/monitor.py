"""A strict stand-in for the engine: it refuses what the engine, the provider or AWS would, and records what Pulumi's own mocks do not see.

Pulumi's mocks accept two resources of one name, unknown properties and references to nothing, and never see options. This monitor
checks every input by the provider's own rules, keeps options and dependencies, and is read only after it has been drained.
"""

import asyncio
import contextvars
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from unittest import mock

from botocore.exceptions import NoCredentialsError
from google.protobuf import empty_pb2
from pulumi.runtime import config as engine_config
from pulumi.runtime import mocks, settings, stack
from pulumi.runtime.proto import resource_pb2, source_pb2

from lab.provider.codec import UNKNOWN, Props, decode, encode, unwrap
from lab.provider.registry import function_type, resource_type
from lab.provider.schema import check_properties, output_names
from lab.provider.spec.model import Output
from lab.provider.spec.text_templates import REGION, example_value, placeholders

ZONES: Final = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
READ_STACK_OUTPUTS: Final = "pulumi:pulumi:readStackOutputs"
AMI: Final = "ami-0123456789abcdef0"

REFERENCE_PROPERTIES: Final = frozenset(
    {
        "allocationId", "bucket", "gatewayId", "iamInstanceProfile", "iamRoleArn", "instanceId", "logDestination", "natGatewayId",
        "referencedSecurityGroupId", "role", "routeTableId", "routeTableIds", "secretId", "securityGroupId", "subnetId", "volumeId",
        "vpcId", "vpcSecurityGroupIds", "zoneId",
    }
)  # fmt: skip
"""Properties that name another resource: every value must be one that a registered resource put out."""


class ViolationError(Exception):
    """The program registered what must not be."""


@dataclass(frozen=True, kw_only=True)
class RegisteredResource:
    """One registered resource. `inputs` has wire names, `UNKNOWN` where a value is not known, and no secret wrappers."""

    token: str
    name: str
    urn: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any]
    secret_inputs: frozenset[str]
    protect: bool
    depends_on: frozenset[str]
    ignore_changes: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    delete_before_replace: bool
    replaces_first: bool
    property_dependencies: Mapping[str, frozenset[str]]


@dataclass(kw_only=True)
class RecordedProgram:
    """What a drained program registered, in order, and its outputs."""

    resources: list[RegisteredResource] = field(default_factory=list[RegisteredResource])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    secret_outputs: frozenset[str] = frozenset()
    log: list[str] = field(default_factory=list[str])

    def by_type(self, token: str) -> list[RegisteredResource]:
        """Every resource of a type, by the end of its token: `ec2/instance:Instance`."""
        return [item for item in self.resources if item.token == token or item.token.endswith(f":{token}")]

    def by_name(self, name: str, token: str = "") -> RegisteredResource:
        """The one resource of a name (and, where several share it, a type)."""
        found = [item for item in self.resources if item.name == name and item.token.endswith(token)]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} resources are named {name!r}; there are {sorted(item.name for item in self.resources)}")
        return found[0]

    def dependencies(self, item: RegisteredResource) -> set[str]:
        """Names of everything that a resource waits for: by its options and by its properties."""
        urns = item.depends_on.union(*item.property_dependencies.values())
        return {other.name for other in self.resources if other.urn in urns}


class StrictMonitor(mocks.MockMonitor):
    """See the module. `preview` leaves what only AWS can give unknown, as a first preview has it."""

    def __init__(self, *, preview: bool = False, zones: tuple[str, ...] = ZONES, previous_outputs: Props | None = None) -> None:
        """`previous_outputs` are the outputs of the stack's last run."""
        super().__init__(_NoMocks())
        self.previous_outputs: Props = previous_outputs or {}
        self.preview = preview
        self.zones = zones
        self.program = RecordedProgram()
        self.violations: list[str] = []
        self.ids: dict[str, str] = {}
        """The id of each resource, by its URN."""
        self._lock = threading.Lock()
        self._urns: set[str] = set()
        self._output_values: set[str] = set()

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """The look-ups that the program makes."""
        if request.tok == READ_STACK_OUTPUTS:  # the engine's own, in no provider's schema
            earlier: dict[str, Any] = {"return": encode({"outputs": self.previous_outputs})}
            return resource_pb2.ResourceInvokeResponse(**earlier)
        answers: dict[str, Props] = {
            "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": list(self.zones), "groupNames": [REGION]},
            "aws:ssm/getParameter:getParameter": {"value": AMI, "version": 1},
        }
        if request.tok not in answers:
            raise ViolationError(f"the program asks for {request.tok}, which nobody answers")
        told = function_type(request.tok).spec
        given = cast("Props", unwrap(decode(request.args))) | {"region": REGION} | answers[request.tok]
        answer: dict[str, Any] = {
            "return": encode(_resolve_outputs({"id": told.id, **told.outputs}, 1, given))
        }  # `return` is a word of Python's own
        return resource_pb2.ResourceInvokeResponse(**answer)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        """Nothing is read: the program owns all that it names."""
        raise ViolationError(f"the program reads {request.type} {request.name}")

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        """Checks, records, and answers as the provider would."""
        with self._lock:
            return self._register(request)

    def _register(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            self._urns.add(urn)
            return resource_pb2.RegisterResourceResponse(urn=urn)
        inputs = decode(request.object)
        bare = cast("Props", unwrap(inputs))
        property_dependencies = {key: frozenset(value.urns) for key, value in request.propertyDependencies.items()}
        item = RegisteredResource(
            token=request.type,
            name=request.name,
            urn=urn,
            parent=request.parent,
            custom=request.custom,
            inputs={key: value for key, value in bare.items() if not key.startswith("__")},
            secret_inputs=frozenset(key for key, value in inputs.items() if unwrap(value) != value),
            protect=bool(request.protect),
            depends_on=frozenset(request.dependencies),
            ignore_changes=tuple(request.ignoreChanges),
            replace_on_changes=tuple(request.replaceOnChanges),
            delete_before_replace=request.deleteBeforeReplace,
            replaces_first=request.deleteBeforeReplaceDefined,
            property_dependencies=property_dependencies,
        )
        problems = list(self._problems(item))
        if problems:
            self.violations += problems
            raise ViolationError("\n".join(problems))
        self._urns.add(urn)
        self.program.resources.append(item)
        outputs = self._outputs(item) if item.custom else {}
        identity = "" if self.preview or not item.custom else str(outputs.get("id", ""))
        self.ids[urn] = identity
        self._output_values |= set(_texts(outputs))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identity, object=encode(outputs))

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        """Keeps the stack's outputs."""
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            outputs = decode(request.outputs)
            self.program.outputs = cast("dict[str, Any]", unwrap(outputs))
            self.program.secret_outputs = frozenset(key for key, value in outputs.items() if unwrap(value) != value)
        return empty_pb2.Empty()

    def _problems(self, item: RegisteredResource) -> Iterator[str]:
        what = f"{item.token} {item.name!r}"
        if item.urn in self._urns:
            yield f"{what}: a resource of this type and name exists already"
        for urn in {item.parent, *item.depends_on, *(urn for urns in item.property_dependencies.values() for urn in urns)} - {""}:
            if urn not in self._urns:
                yield f"{what}: refers to {urn}, which is not registered"
        if not item.custom:
            return
        if item.token.startswith("aws:") and not item.parent.count("$") and item.parent.split("::")[2] == "pulumi:pulumi:Stack":
            yield f"{what}: has no component as its parent"
        for problem in check_properties(item.token, item.inputs):
            yield f"{what}: {problem.path}: {problem.message}"
        for name, value in item.inputs.items():
            if name in REFERENCE_PROPERTIES:
                for text in _texts(value):
                    if text not in self._output_values:
                        yield f"{what}: {name} is {text!r}, which no registered resource put out"

    def _outputs(self, item: RegisteredResource) -> Props:
        """What the provider would answer: the inputs, and for all else unknown in a preview, made-up values otherwise."""
        made = {} if self.preview else _fake_outputs(item, _number(item))
        blank: Props = dict.fromkeys(output_names(item.token), UNKNOWN if self.preview else None)
        given: Props = dict(item.inputs)
        return {key: value for key, value in (blank | made | given).items() if value is not None and key != "source"}


class _NoMocks(mocks.Mocks):
    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError("unreachable")

    def new_resource(self, args: mocks.MockResourceArgs) -> Any:
        raise AssertionError("unreachable")


_NUMBERS: Final[dict[str, int]] = {}


def _number(item: RegisteredResource) -> int:
    """A number of each resource's own, the same in every run: what two runs register can be compared."""
    return _NUMBERS.setdefault(item.urn, len(_NUMBERS) + 1)


def _fake_outputs(item: RegisteredResource, number: int) -> Props:
    """What the sources say that the provider puts out, in the form that they say; for the other providers what the program needs."""
    if not item.token.startswith("aws:"):
        text = f"id{number:06d}" if item.token.endswith(":RandomString") else f"made-up-password-{number}"
        return {"id": f"{item.name}-{number:07x}", "result": text}
    told = resource_type(item.token).spec
    given: Props = dict(item.inputs)
    naming = told.naming
    if naming is not None and given.get(naming.field) is None:
        name = item.name.lower() if naming.lowercase else item.name
        given[naming.field] = f"{name}-{number:07x}" if naming.suffix else name
    return _resolve_outputs({"id": told.id, **told.outputs}, number, given)


def _resolve_outputs(outputs: Mapping[str, Output], number: int, known: Props) -> Props:
    """Every output in its form; one that is made of another waits for it. What is known stays as it is."""
    values, left = dict(known), {name: output for name, output in outputs.items() if name not in known}
    while left:
        ready = [name for name, output in left.items() if placeholders(output.format) <= values.keys()]
        assert ready, f"nothing gives a value to what {', '.join(left)} are made of"
        for name in ready:
            output = left.pop(name)
            numbers = range(4 * number, 4 * number + 4) if output.list else (number,)
            texts = [example_value(output.format, each, values) for each in numbers]
            values[name] = texts if output.list else texts[0]
    return values


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in cast("Mapping[str, object]", value).values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _texts(item)


async def _drain(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ignore_further_errors(_: asyncio.AbstractEventLoop, __: dict[str, Any]) -> None:
    """A run raises its first error; every output that depends on what failed has the same one."""


class _ListHandler(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def run(
    body: Callable[[], None],
    *,
    config: Mapping[str, object] | None = None,
    secret_keys: list[str] | None = None,
    stack_name: str = "dev",
    preview: bool = False,
    monitor: StrictMonitor | None = None,
) -> RecordedProgram:
    """Runs a program to its very end and returns what it registered. Raises what the program raises, or ViolationError."""
    strict = monitor or StrictMonitor(preview=preview)
    lines = strict.program.log
    logger = logging.Logger("program", level=logging.INFO)
    logger.addHandler(_ListHandler(lines))

    def inside() -> None:
        settings.configure(
            mocks.MockSettings(
                monitor=strict,
                monitor_features=set(strict.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures),
                engine=mocks.MockEngine(logger),
                project="webstack",
                stack=stack_name,
                dry_run=strict.preview,
                organization=None,
                callbacks=None,
                outputs=set[object](),  # without it, the outputs of an earlier run that raised are waited for
                lock=threading.Lock(),
            )
        )
        settings.ROOT.set(None)
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (config or {}).items()}
        engine_config.set_all_config(texts, secret_keys or [])
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(_ignore_further_errors)
        try:
            loop.run_until_complete(stack.run_in_stack(body))
        finally:
            # A program that raised leaves others waiting: each is ended here, or the collector would end it in the middle of anything.
            loop.run_until_complete(_drain(asyncio.all_tasks(loop)))
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    with (
        # What AWS is asked beside the engine's provider is asked by boto3: here nobody may.
        mock.patch("stack.configuration.ec2_client", side_effect=NoCredentialsError()),
        mock.patch("stack.configuration.caller_account", side_effect=NoCredentialsError()),
        # The SDK reads the source of every frame for each resource's place in the program, a fifth of a run's time; nobody looks at it.
        mock.patch("pulumi.runtime.resource._get_stack_trace", source_pb2.StackTrace),
    ):
        contextvars.copy_context().run(inside)
    if strict.violations:
        raise ViolationError("\n".join(strict.violations))
    return strict.program
