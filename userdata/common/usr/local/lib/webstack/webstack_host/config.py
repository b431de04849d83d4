"""The parameters of this host: from the file that user data writes, and from the one with what a reload applies."""

import json
from pathlib import Path
from typing import Any, cast

PATH = "/etc/webstack/host.json"
VALUES_PATH = "/etc/webstack/configuration.json"
"""The values of the configuration object that is in force; not there where a host has none."""


class Section:
    """A JSON object whose fields are attributes; objects inside are sections, lists are tuples."""

    def __init__(self, variables: dict[str, Any], name: str) -> None:
        self.variables = variables
        self._name = name

    def __getattr__(self, field: str) -> Any:
        if field.startswith("__") or field not in self.variables:
            raise AttributeError(f"{self._name} has no {field!r}; it has {', '.join(sorted(self.variables))}")
        return _wrap(self.variables[field], f"{self._name}: {field}")

    def __repr__(self) -> str:
        return f"<{self._name}>"


class HostConfig(Section):
    """All variables of a host's role as attributes; those that every host has are typed here."""

    @property
    def host(self) -> str:
        """The host's name, as web-1."""
        return self.variables["host"]

    @property
    def role(self) -> str:
        """load_balancer, web or database."""
        return self.variables["role"]

    @property
    def environment(self) -> str:
        """The stack's name."""
        return self.variables["environment"]

    @property
    def region(self) -> str:
        """AWS region of every call."""
        return self.variables["region"]

    @property
    def bucket(self) -> str:
        """The artifact bucket."""
        return self.variables["bucket"]

    @property
    def zone(self) -> str:
        """The private DNS zone, without a trailing dot."""
        return self.variables["zone"]


def load(path: str = PATH) -> HostConfig:
    """Reads the parameters; raises TypeError naming the file when it is not a JSON object, OSError when it cannot be read."""
    loaded: Any = json.loads(Path(path).read_text())
    if not isinstance(loaded, dict):
        raise TypeError(f"{path} holds no JSON object; user data writes one at each boot")
    values = Path(VALUES_PATH)
    later: dict[str, Any] = json.loads(values.read_text()) if values.exists() else {}
    return HostConfig({**cast("dict[str, Any]", loaded), **later}, path)


def _wrap(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return Section(cast("dict[str, Any]", value), name)
    if isinstance(value, list):
        return tuple(_wrap(item, name) for item in cast("list[Any]", value))
    return value
