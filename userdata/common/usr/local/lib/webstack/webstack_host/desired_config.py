"""What the program wants of this host: its configuration object in the artifact bucket, and how much of it is in force here.

Only the program writes the object, and this host's role reads no other. The copy of what is in force outlives a boot, so that a host
that starts while the API is away serves as before.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from webstack_host import aws, config, files
from webstack_host.config import Model
from webstack_host.errors import PermanentError

APPLIED_PATH = Path("/var/lib/webstack/configuration.yaml")
"""The object's bytes that are in force."""
FAILURE_PATH = Path("/run/webstack/configuration-problem.json")


@dataclass(frozen=True, kw_only=True)
class DesiredConfig:
    """A configuration object."""

    body: bytes
    user_data_sha256: str
    """The user data that belongs to it; another one at a boot means that the engine is not done with this host."""
    values: Mapping[str, object]
    """The fields of the role's `Configuration`, not looked at yet."""
    files: Mapping[str, str]
    """Path → content."""

    @property
    def sha256(self) -> str:
        """By this its readers speak of it."""
        return hashlib.sha256(self.body).hexdigest()

    def parse_values(self, model: type[Model]) -> Model:
        """Its values as a role's `Configuration`. Raises ConfigError."""
        return config.parse(model, dict(self.values), "the configuration object")


@dataclass(frozen=True, kw_only=True)
class ConfigurationFailure:
    """Why an object is not in force: `refused` for good by the program that it is for, or not done yet."""

    sha256: str
    refused: bool
    reason: str
    detail: Sequence[str] = ()


def parse(body: bytes) -> DesiredConfig:
    """An object from its bytes; raises PermanentError where it is none."""
    import yaml  # cloud-init's own dependency

    try:
        document = yaml.safe_load(body)
        return DesiredConfig(
            body=body,
            user_data_sha256=str(document["user_data_sha256"]),
            values=dict(document["values"]),
            files={str(file["path"]): str(file["content"]) for file in document["files"]},
        )
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise PermanentError(f"the configuration object is not readable: {error}") from error


def fetch(key: str) -> DesiredConfig:
    """The newest object; raises what the API raises, PermanentError where it is not readable."""
    return parse(aws.fetch_object(key))


def read_applied() -> DesiredConfig | None:
    """What is in force on this host; None before its first boot has come so far."""
    return parse(APPLIED_PATH.read_bytes()) if APPLIED_PATH.exists() else None


def save_applied(desired: DesiredConfig) -> None:
    """Notes that an object is in force, and its values where every program of this host reads its parameters."""
    files.write(config.VALUES_PATH, json.dumps(desired.values, indent=2) + "\n")
    files.write(APPLIED_PATH, desired.body)
    FAILURE_PATH.unlink(missing_ok=True)


def save_failure(failure: ConfigurationFailure) -> None:
    """Notes why an object is not in force, for this host's record."""
    files.write(FAILURE_PATH, json.dumps(asdict(failure)))


def record_fields() -> dict[str, object]:
    """What the host's record says of its configuration; nothing where it has none."""
    current = read_applied()
    problem = cast("dict[str, object]", json.loads(FAILURE_PATH.read_text())) if FAILURE_PATH.exists() else None
    if current is None and problem is None:
        return {}
    return {"configuration_sha256": current.sha256 if current else None, "configuration_problem": problem}
