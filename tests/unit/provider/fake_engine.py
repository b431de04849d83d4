"""Stands where the engine stands: calls the servicer's methods with its messages, over an AWS that lives in this process."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import boto3
import grpc
from pulumi.runtime.proto import provider_pb2

from lab.provider.api_client import DEFAULT_DEBIAN_AMI, ApiClient, ClientCache
from lab.provider.codec import Props, decode, encode, unwrap
from lab.provider.diff import Diff, compute_diff
from lab.provider.servicer import Servicer

REGION = "eu-central-1"
_CLIENTS = ClientCache(None)
"""Made once: a client takes longer to make than a test takes."""


class AbortedError(Exception):
    """The provider answered with an error; `saved` is what it told the engine to keep all the same."""

    def __init__(self, message: str, saved: bool) -> None:
        """saved: whether the answer carries a resource that exists in part."""
        super().__init__(message)
        self.saved = saved


class CheckFailedError(Exception):
    """Check refused properties."""


class Connection:
    """One gRPC connection: what a provider instance is known by."""

    def __init__(self, peer: str) -> None:
        """peer: the other end, as gRPC names it."""
        self._peer = peer
        self._saved = False

    def peer(self) -> str:
        return self._peer

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._saved = bool(trailing_metadata)

    def abort(self, code: grpc.StatusCode, details: str) -> Any:
        del code
        raise AbortedError(details, self._saved)


@dataclass
class Resource:
    """What the engine's state holds of a resource."""

    token: str
    name: str
    id: str
    inputs: Props
    outputs: Props

    def __getitem__(self, name: str) -> Any:
        """An output, in clear."""
        return unwrap(self.outputs[name])


@dataclass
class FakeEngine:
    """A provider instance of a region, and what an engine does with it."""

    package: str = "aws"
    region: str = REGION
    default_tags: Mapping[str, str] = field(default_factory=dict[str, str])
    peer: str = "ipv4:127.0.0.1:1"
    servicer: Servicer = field(init=False)

    def __post_init__(self) -> None:
        base = ApiClient(clients=_CLIENTS, region=self.region, poll_seconds=0.0, deadline_seconds=0.2)
        self.servicer = Servicer(self.package, "7.51.1", base)
        self.configure(self.peer, region=self.region, default_tags=self.default_tags)

    def configure(self, peer: str, *, region: str, default_tags: Mapping[str, str], **more: str) -> None:
        """Configure as the engine does: nested settings as JSON texts. `more`: further ones."""
        tags = ", ".join(f'"{key}": "{value}"' for key, value in default_tags.items())
        arguments = {"region": region, "defaultTags": f'{{"tags": {{{tags}}}}}', "skipRegionValidation": "true", **more}
        self.servicer.Configure(provider_pb2.ConfigureRequest(args=encode(arguments)), Connection(peer))

    def check(self, token: str, name: str, props: Mapping[str, object], olds: Props | None = None) -> Props:
        """The completed inputs. Raises CheckFailedError with one line per problem."""
        request = provider_pb2.CheckRequest(urn=_urn(token, name), news=encode(props), olds=encode(olds or {}), randomSeed=b"seed")
        answer = self.servicer.Check(request, Connection(self.peer))
        if answer.failures:
            raise CheckFailedError("\n".join(f"{failure.property}: {failure.reason}" for failure in answer.failures))
        return decode(answer.inputs)

    def preview(self, token: str, name: str, /, **props: object) -> Props:
        """The outputs of a creation that is only planned."""
        inputs = self.check(token, name, props)
        request = provider_pb2.CreateRequest(urn=_urn(token, name), properties=encode(inputs), preview=True)
        return decode(self.servicer.Create(request, Connection(self.peer)).properties)

    def create(self, token: str, name: str = "it", /, **props: object) -> Resource:
        """Check and Create."""
        inputs = self.check(token, name, props)
        request = provider_pb2.CreateRequest(urn=_urn(token, name), properties=encode(inputs))
        answer = self.servicer.Create(request, Connection(self.peer))
        return Resource(token, name, answer.id, inputs, decode(answer.properties))

    def diff(self, resource: Resource, /, *, ignore: tuple[str, ...] = (), **props: object) -> Any:
        """The answer to Diff of the resource's inputs with some changed (None: left out)."""
        news = self._news(resource, props)
        request = provider_pb2.DiffRequest(
            id=resource.id,
            urn=_urn(resource.token, resource.name),
            olds=encode(resource.outputs),
            old_inputs=encode(resource.inputs),
            news=encode(news),
            ignoreChanges=ignore,
        )
        return self.servicer.Diff(request, Connection(self.peer))

    def update(self, resource: Resource, /, *, preview: bool = False, **props: object) -> Resource:
        """Check and Update."""
        news = self._news(resource, props)
        request = provider_pb2.UpdateRequest(
            id=resource.id,
            urn=_urn(resource.token, resource.name),
            olds=encode(resource.outputs),
            old_inputs=encode(resource.inputs),
            news=encode(news),
            preview=preview,
        )
        answer = self.servicer.Update(request, Connection(self.peer))
        return Resource(resource.token, resource.name, resource.id, news, decode(answer.properties))

    def refresh(self, resource: Resource) -> Resource | None:
        """Read; None where it is gone."""
        return self._read(resource.token, resource.name, resource.id, resource.outputs, resource.inputs)

    def load(self, token: str, identifier: str) -> Resource | None:
        """Import."""
        return self._read(token, "imported", identifier, {}, {})

    def delete(self, resource: Resource) -> None:
        """Delete."""
        request = provider_pb2.DeleteRequest(
            id=resource.id, urn=_urn(resource.token, resource.name), properties=encode(resource.outputs), old_inputs=encode(resource.inputs)
        )
        self.servicer.Delete(request, Connection(self.peer))

    def invoke(self, token: str, /, **arguments: object) -> Props:
        """A data source. Raises CheckFailedError with its failures."""
        answer = self.servicer.Invoke(provider_pb2.InvokeRequest(tok=token, args=encode(arguments)), Connection(self.peer))
        if answer.failures:
            raise CheckFailedError("\n".join(failure.reason for failure in answer.failures))
        return decode(getattr(answer, "return"))

    def _news(self, resource: Resource, props: Mapping[str, object]) -> Props:
        given = {key: value for key, value in resource.inputs.items() if key not in ("tagsAll", "__defaults")}
        for key in cast("list[str]", resource.inputs.get("__defaults") or []):
            given.pop(key, None)
        given |= props
        return self.check(resource.token, resource.name, {key: value for key, value in given.items() if value is not None}, resource.inputs)

    def _read(self, token: str, name: str, identifier: str, outputs: Props, inputs: Props) -> Resource | None:
        request = provider_pb2.ReadRequest(id=identifier, urn=_urn(token, name), properties=encode(outputs), inputs=encode(inputs))
        answer = self.servicer.Read(request, Connection(self.peer))
        return Resource(token, name, answer.id, decode(answer.inputs), decode(answer.properties)) if answer.id else None


def diff_kinds(answer: Any) -> dict[str, str]:
    """A diff's paths with their kinds, in small letters."""
    return {path: provider_pb2.PropertyDiff.Kind.Name(found.kind).lower() for path, found in answer.detailedDiff.items()}


def compare_inputs(token: str, old: Mapping[str, object], new: Mapping[str, object]) -> Diff:
    """The difference of two sets of inputs where the state is as the old ones say."""
    return compute_diff(token, state=old, old_inputs=old, news=new)


@functools.cache
def boto_client(service: str, region: str = REGION) -> Any:
    """AWS behind the provider's back."""
    make = cast("Any", boto3.client)  # pyright: ignore[reportUnknownMemberType]
    return make(service, region_name=region, aws_access_key_id="x", aws_secret_access_key="x")


def _urn(token: str, name: str) -> str:
    return f"urn:pulumi:dev::webstack::webstack:network:Network${token}::{name}"


@dataclass
class NetworkFixture:
    """A VPC with a subnet, a security group and an image, to put hosts into."""

    engine: FakeEngine
    vpc: Resource
    subnet: Resource
    group: Resource

    def instance(self, name: str = "host", /, **props: object) -> Resource:
        """An instance in it."""
        given: dict[str, object] = {
            "ami": DEFAULT_DEBIAN_AMI,
            "instanceType": "t3.micro",
            "subnetId": self.subnet.id,
            "vpcSecurityGroupIds": [self.group.id],
        }
        return self.engine.create("aws:ec2/instance:Instance", name, **{**given, **props})


def make_network(engine: FakeEngine) -> NetworkFixture:
    """A small network."""
    vpc = engine.create("aws:ec2/vpc:Vpc", "net", cidrBlock="10.0.0.0/16")
    subnet = engine.create("aws:ec2/subnet:Subnet", "app", vpcId=vpc.id, cidrBlock="10.0.1.0/24", availabilityZone=f"{REGION}a")
    group = engine.create("aws:ec2/securityGroup:SecurityGroup", "hosts", vpcId=vpc.id, description="hosts")
    return NetworkFixture(engine, vpc, subnet, group)
