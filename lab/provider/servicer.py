"""The gRPC service that the engine calls: `pulumirpc.ResourceProvider` with the registry's types, for one package (`aws` or `random`)."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, cast

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from lab.provider import properties
from lab.provider.api_client import ApiClient, ApiError
from lab.provider.codec import Asset, Props, decode, encode, is_secret, unwrap
from lab.provider.configuration import account_denied_reason, check_configuration, configure_client
from lab.provider.diff import Diff, compute_diff, with_replacements
from lab.provider.handler import FunctionError
from lab.provider.registry import UnknownTypeError, function_type, resource_type
from lab.provider.rules.model import Violation
from lab.provider.schema import check_properties, rules_of

_LOG: Final = logging.getLogger("lab.provider")


class InitFailedError(Exception):
    """The resource exists, but a later step of its creation failed."""

    def __init__(self, message: str, response: provider_pb2.ErrorResourceInitFailed) -> None:
        """response: the state that the engine saves."""
        super().__init__(message)
        self.response = response


class Context(Protocol):
    """The part of gRPC's servicer context that is used."""

    def peer(self) -> str:
        """The connection's other end."""
        ...

    def abort(self, code: grpc.StatusCode, details: str) -> Any:
        """Raises."""
        ...

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """Metadata after the answer."""
        ...


def _map_errors(method: Callable[..., Any]) -> Callable[..., Any]:
    """Converts expected errors to the engine's messages; an unexpected one is reported and logged with its traceback."""

    @functools.wraps(method)
    def wrapped(self: Any, request: Any, context: Context) -> Any:
        try:
            return method(self, request, context)
        except InitFailedError as error:
            _abort_init_failed(context, error)
        except (ApiError, UnknownTypeError, ValueError, FileNotFoundError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            _LOG.exception("%s failed", method.__name__)
            context.abort(grpc.StatusCode.INTERNAL, f"the lab's provider failed in {method.__name__}: {type(error).__name__}: {error}")

    return wrapped


def _abort_init_failed(context: Context, error: InitFailedError) -> None:
    detail = any_pb2.Any()
    detail.Pack(error.response)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One package's provider. Every provider instance of the program has its own connection, which is what its settings are kept by."""

    def __init__(self, package: str, version: str, base: ApiClient) -> None:
        """package: `aws` or `random`; version: the SDK's, which the engine asks for; base: what every instance's settings build on."""
        self._package, self._version = package, version
        self._base = base
        self._instances: dict[str, ApiClient] = {}
        self._lock = threading.Lock()

    # --- the instance -------------------------------------------------------------------------------------------------------------

    @_map_errors
    def Handshake(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Returns the protocol features that this provider supports."""
        del request, context
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=True, accept_outputs=True, supports_autonaming_configuration=True
        )

    @_map_errors
    def Attach(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Nothing to do: the engine's address is not called back."""
        del request, context
        return empty_pb2.Empty()

    @_map_errors
    def GetPluginInfo(self, request: Any, context: Context) -> Any:  # noqa: N802
        """The version that the SDK has."""
        del request, context
        return plugin_pb2.PluginInfo(version=self._version)

    @_map_errors
    def CheckConfig(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Refuse unknown settings and malformed regions."""
        del context
        news = decode(request.news)
        problems = check_configuration(news) if self._package == "aws" else []
        return provider_pb2.CheckResponse(inputs=request.news, failures=_check_failures(problems, news))

    @_map_errors
    def DiffConfig(self, request: Any, context: Context) -> Any:  # noqa: N802
        """A changed configuration never replaces a provider (that would replace all of its resources)."""
        del context
        changed = decode(request.olds) != decode(request.news)
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind)

    @_map_errors
    def Configure(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Keep the settings for this connection. Raises ValueError where they do not allow the caller's account."""
        given = decode(request.args)
        client = configure_client(given, self._base)
        if self._package == "aws" and (refused := account_denied_reason(given, client)):
            raise ValueError(refused)
        with self._lock:
            self._instances[context.peer()] = client
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True, supports_autonaming_configuration=True
        )

    @_map_errors
    def Cancel(self, request: Any, context: Context) -> Any:  # noqa: N802
        """End what waits on this connection (the engine sends this after a good run too, when nothing waits)."""
        del request
        with self._lock:
            client = self._instances.get(context.peer())
        if client is not None:
            client.cancelled.set()
        return empty_pb2.Empty()

    # --- the plan -----------------------------------------------------------------------------------------------------------------

    @_map_errors
    def Check(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Rejects what AWS or the real provider would; adds automatic names, all tags and the region."""
        token, resource = _parse_urn(request.urn)
        resource_type(token)
        news, olds = decode(request.news), decode(request.olds)
        _read_assets(news)
        problems = check_properties(token, news)
        if not problems:
            proposed: str | None = request.autonaming.proposed_name if request.HasField("autonaming") else None
            news = properties.complete_inputs(token, resource, self._client(context), news, olds, request.randomSeed, proposed)
            problems = check_properties(token, {key: value for key, value in news.items() if key != "tagsAll"})
        return provider_pb2.CheckResponse(inputs=encode(news), failures=_check_failures(problems, news))

    @_map_errors
    def Diff(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Returns the changes against the state, including drift."""
        found = self._with_replacements(_compute_diff(request), request, context)
        kinds = provider_pb2.PropertyDiff
        detailed: dict[str, Any] = {}
        for change in found.changes:
            kind = kinds.Kind.Value(change.kind.upper() + ("_REPLACE" if change.replaces else ""))
            detailed[change.path] = kinds(kind=kind)
        changes = provider_pb2.DiffResponse.DIFF_SOME if found.changes else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=changes,
            replaces=[change.property_name for change in found.changes if change.replaces],
            diffs=sorted(found.property_names),
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=found.delete_before_replace,
        )

    # --- the changes --------------------------------------------------------------------------------------------------------------

    @_map_errors
    def Create(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Creates the resource and returns its outputs as read from AWS."""
        token, resource = _parse_urn(request.urn)
        handler, news = resource_type(token).handler, decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(properties.preview_outputs(token, news)))
        inputs = unwrap(news)
        client = self._client(context).in_region(inputs.get("region"))
        identifier = _with_context(f"creating {handler.label} ({resource})", lambda: handler.create(client, inputs))
        state = news
        try:
            handler.after_create(client, identifier, inputs)
            state = self._state(token, client, identifier, news)
        except (ApiError, ValueError) as error:
            message = f"creating {handler.label} ({resource}): {error}"
            response = provider_pb2.ErrorResourceInitFailed(
                id=identifier, properties=encode(state), inputs=request.properties, reasons=[message]
            )
            raise InitFailedError(message, response) from error
        return provider_pb2.CreateResponse(id=identifier, properties=encode(state))

    @_map_errors
    def Read(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Reads the resource from AWS, for a refresh or an import. An empty id means that it does not exist."""
        token, _ = _parse_urn(request.urn)
        handler, prior, inputs = resource_type(token).handler, decode(request.properties), decode(request.inputs)
        identifier, _, region = request.id.partition("@") if not prior else (request.id, "", "")
        client = self._client(context).in_region(unwrap(prior).get("region") or region or None)
        known = unwrap(prior) or handler.parse_import_id(identifier)
        live = _with_context(f"reading {handler.label} ({identifier})", lambda: handler.read(client, identifier, known))
        if live is None:
            return provider_pb2.ReadResponse()
        sealed = properties.secret_properties(token, prior, inputs)
        state = properties.build_outputs(token, client, live, known, sealed)
        return provider_pb2.ReadResponse(
            id=identifier, properties=encode(state), inputs=encode(properties.refresh_inputs(token, state, inputs))
        )

    @_map_errors
    def Update(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Updates the resource."""
        token, _ = _parse_urn(request.urn)
        handler, olds, news = resource_type(token).handler, decode(request.olds), decode(request.news)
        changed = _compute_diff(request).property_names
        if request.preview:
            return provider_pb2.UpdateResponse(
                properties=encode(properties.preview_outputs(token, news, olds, handler.computed_on_update(changed, unwrap(olds))))
            )
        before, after = unwrap(olds), unwrap(news)
        client = self._client(context).in_region(after.get("region"))
        _with_context(f"updating {handler.label} ({request.id})", lambda: handler.update(client, request.id, before, after, changed))
        state = self._state(token, client, request.id, news)
        return provider_pb2.UpdateResponse(properties=encode(state))

    @_map_errors
    def Delete(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Deletes the resource, if AWS allows it."""
        token, _ = _parse_urn(request.urn)
        handler, state = resource_type(token).handler, unwrap(decode(request.properties))
        client = self._client(context).in_region(state.get("region"))
        _with_context(f"deleting {handler.label} ({request.id})", lambda: handler.delete(client, request.id, state))
        return empty_pb2.Empty()

    @_map_errors
    def Invoke(self, request: Any, context: Context) -> Any:  # noqa: N802
        """A data source."""
        function = function_type(request.tok).function
        arguments = cast("Props", unwrap(decode(request.args)))
        try:
            answer = function.invoke(self._client(context).in_region(arguments.get("region")), arguments)
        except FunctionError as failure:
            return provider_pb2.InvokeResponse(failures=[provider_pb2.CheckFailure(property=failure.argument, reason=str(failure))])
        fields: dict[str, Any] = {"return": encode(answer)}  # a keyword of Python's cannot be an argument's name
        return provider_pb2.InvokeResponse(**fields)

    # --- helpers ------------------------------------------------------------------------------------------------------------------

    def _state(self, token: str, client: ApiClient, identifier: str, news: Props) -> Props:
        handler = resource_type(token).handler
        live = handler.read(client, identifier, unwrap(news))
        if live is None:
            raise ApiError(f"{handler.label}.read", "NotFound", f"{identifier} is not there although AWS had accepted it")
        return properties.build_outputs(token, client, live, news, properties.secret_properties(token, news))

    def _with_replacements(self, diff: Diff, request: Any, context: Context) -> Diff:
        """With what only AWS can say: which of the changes replace."""
        token, _ = _parse_urn(request.urn)
        olds, news = unwrap(decode(request.olds)), unwrap(decode(request.news))
        client = self._client(context).in_region(olds.get("region"))
        more = resource_type(token).handler.requires_replace(client, olds, news, diff.property_names)
        return with_replacements(token, diff, more, news) if more else diff

    def _client(self, context: Context) -> ApiClient:
        with self._lock:
            cloud = self._instances.get(context.peer())
        if cloud is None:
            raise ValueError("the engine called before it configured the provider")
        return cloud


def _read_assets(news: Props) -> None:
    """The real provider opens every asset in Check, also the old one that `ignoreChanges` puts back: a file that is gone is an error.

    `makeTerraformInputsWithOptions` and `TranslateAsset` in pulumi-terraform-bridge (pkg/tfbridge/schema.go, pkg/tfbridge/info/assets.go);
    pulumi/pulumi#5066. Raises FileNotFoundError.
    """
    for value in cast("Props", unwrap(news)).values():
        if isinstance(value, Asset) and value.path is not None:
            with Path(value.path).open("rb"):
                pass


def _with_context(operation: str, call: Callable[[], Any]) -> Any:
    """Do it; a refusal says what was being done."""
    try:
        return call()
    except ApiError as refusal:
        raise ValueError(f"{operation}: {refusal}") from refusal


def _parse_urn(urn: str) -> tuple[str, str]:
    """Type token and resource name of a URN (`urn:pulumi:stack::project::parent$type::name`)."""
    parts = urn.split("::", 3)
    return parts[2].split("$")[-1], parts[3]


def _compute_diff(request: Any) -> Diff:
    """Raises ValueError for a change that the provider refuses in the plan."""
    token, _ = _parse_urn(request.urn)
    olds, news = decode(request.olds), decode(request.news)
    refuses = rules_of(token).validate_change
    if refuses is not None and (reason := refuses(unwrap(olds), unwrap(news))):
        raise ValueError(reason)
    return compute_diff(
        token,
        state=olds,
        old_inputs=decode(request.old_inputs),
        news=news,
        ignored=tuple(request.ignoreChanges),
    )


def _check_failures(problems: list[Violation], props: Props) -> list[Any]:
    """Problems as the engine takes them; a secret's value is never in the sentence."""
    failures: list[Any] = []
    for problem in problems:
        top = problem.path.split(".")[0].split("[")[0]
        reason = problem.message.partition("; got")[0] if is_secret(props.get(top)) else problem.message
        failures.append(provider_pb2.CheckFailure(property=problem.path, reason=reason))
    return failures
