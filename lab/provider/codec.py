"""Converts property values between the engine's protobuf form and Python.

The SDK's own functions lose what a provider needs (unknowns, secretness, an asset's hash), hence this codec.
Signatures and layouts are those of the engine (sdk/go/common/resource/plugin/rpc.go).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from google.protobuf import struct_pb2

_UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker of the protocol, no secret
_ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"


class Unknown:
    """A value that is not known yet (in a preview, or because it depends on a resource that is being replaced)."""

    _only: Unknown | None = None

    def __new__(cls) -> Unknown:
        """Returns the only instance."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        """Returns the notation of the engine's own output."""
        return "<unknown>"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that must stay encrypted in the state and hidden in every message."""

    value: object

    def __repr__(self) -> str:
        """Returns a placeholder, never the value."""
        return "<secret>"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file or a text. One read from the engine's state has only its `hash` (SHA-256, hex)."""

    hash: str
    path: str | None = None
    text: str | None = None
    archive: bool = False

    def data(self) -> bytes:
        """Returns the bytes. Raises FileNotFoundError if the file does not exist, and ValueError if only the hash is known."""
        if self.text is not None:
            return self.text.encode()
        if self.path is not None:
            if Path(self.path).is_dir():
                raise ValueError(f"{self.path} is a folder, which the lab's provider does not support; give a file")
            return Path(self.path).read_bytes()
        raise ValueError(f"the content of asset {self.hash[:12]} is not here: the engine's state keeps only its hash")


Props = dict[str, Any]


def decode(struct: struct_pb2.Struct) -> Props:
    """Returns all properties of a message, with `UNKNOWN`, `Secret` and `Asset` where the engine sent those."""
    return {key: _decode(value) for key, value in struct.fields.items()}


def encode(props: Mapping[str, object]) -> struct_pb2.Struct:
    """The inverse of `decode`; None properties are kept as null."""
    return struct_pb2.Struct(fields={key: _encode(value) for key, value in props.items()})


def _decode(value: struct_pb2.Value) -> object:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value == _UNKNOWN_TEXT else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "struct_value":
            return _decode_object(value.struct_value)
        case _:
            return None


def _decode_object(struct: struct_pb2.Struct) -> object:
    fields = {key: _decode(value) for key, value in struct.fields.items()}
    match fields.pop(_SIGNATURE, None):
        case None:
            return fields
        case sig if sig == _SECRET:
            return Secret(fields.get("value"))
        case sig if sig == _OUTPUT:
            inner = fields.get("value", UNKNOWN)
            return Secret(inner) if fields.get("secret") else inner
        case sig if sig == _RESOURCE:
            return fields.get("id", UNKNOWN)
        case sig if sig in (_ASSET, _ARCHIVE):
            path, text = fields.get("path"), fields.get("text")
            return Asset(
                hash=str(fields.get("hash") or ""),
                path=str(path) if path is not None else None,
                text=str(text) if text is not None else None,
                archive=sig == _ARCHIVE,
            )
        case sig:
            raise ValueError(f"the engine sent a kind of value that this provider does not know: signature {sig}")


def _encode(value: object) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN_TEXT)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Secret):
        return _object({_SIGNATURE: _SECRET, "value": value.value})
    if isinstance(value, Asset):
        signature = _ARCHIVE if value.archive else _ASSET
        given = {"hash": value.hash, "path": value.path, "text": value.text}
        return _object({_SIGNATURE: signature} | {key: item for key, item in given.items() if item is not None})
    if isinstance(value, Mapping):
        return _object(cast("Mapping[str, object]", value))
    if isinstance(value, Sequence):
        items = cast("Sequence[object]", value)
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encode(item) for item in items]))
    raise TypeError(f"a {type(value).__name__} cannot be a property")


def _object(fields: Mapping[str, object]) -> struct_pb2.Value:
    return struct_pb2.Value(struct_value=encode(fields))


def unwrap(value: Any) -> Any:
    """Returns the value without secret wrappers, at every depth."""
    if isinstance(value, Secret):
        return unwrap(value.value)
    if isinstance(value, Mapping):
        return {key: unwrap(item) for key, item in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [unwrap(item) for item in cast("Sequence[object]", value)]
    return value


def is_secret(value: object) -> bool:
    """Whether any part of the value is secret."""
    return _any(value, lambda part: isinstance(part, Secret))


def is_unknown(value: object) -> bool:
    """Whether any part of the value is unknown."""
    return _any(value, lambda part: part is UNKNOWN)


def _any(value: object, wanted: Callable[[object], bool]) -> bool:
    if wanted(value):
        return True
    if isinstance(value, Secret):
        return _any(value.value, wanted)
    if isinstance(value, Mapping):
        return any(_any(item, wanted) for item in cast("Mapping[str, object]", value).values())
    if isinstance(value, list | tuple):
        return any(_any(item, wanted) for item in cast("Sequence[object]", value))
    return False


def mark_secret(props: Mapping[str, object], keys: frozenset[str]) -> Props:
    """Returns the properties, with those named made secret unless they are already."""
    return {key: Secret(value) if key in keys and not isinstance(value, Secret) else value for key, value in props.items()}


def text_asset(text: str) -> Asset:
    """Returns an asset of a text, with the hash that the engine would compute."""
    return Asset(hash=hashlib.sha256(text.encode()).hexdigest(), text=text)
