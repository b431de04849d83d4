"""This host's configuration object in the artifact bucket, and the record of what is in force.

Only the program writes the object, and this host may read no other. The copy in force survives reboots, so that a host that boots while the
API is unavailable serves as before.
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
"""The bytes of the object in force."""
FAILURE_PATH = Path("/run/webstack/configuration-problem.json")


@dataclass(frozen=True, kw_only=True)
class DesiredConfig:
    """A configuration object."""

    body: bytes
    user_data_sha256: str
    """The hash of the user data that belongs to it. If a boot's differs, the engine has not finished with this host."""
    values: Mapping[str, object]
    """The fields of the role's `Configuration`, not yet validated."""
    files: Mapping[str, str]
    """Path → content."""

    @property
    def sha256(self) -> str:
        """The object's hash, which identifies it."""
        return hashlib.sha256(self.body).hexdigest()

    def parse_values(self, model: type[Model]) -> Model:
        """Returns its values as a role's `Configuration`. Raises ConfigError."""
        return config.parse(model, dict(self.values), "the configuration object")


@dataclass(frozen=True, kw_only=True)
class ConfigurationFailure:
    """Why an object is not in force: permanently `refused` by the program that it configures, or not applied yet."""

    sha256: str
    refused: bool
    reason: str
    detail: Sequence[str] = ()


def parse(body: bytes) -> DesiredConfig:
    """Parses an object. Raises PermanentError if it is invalid."""
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
    """Returns the newest object. Raises what the API raises, and PermanentError if it is invalid."""
    return parse(aws.fetch_object(key))


def read_applied() -> DesiredConfig | None:
    """Returns the object in force on this host; None before the first boot has applied one."""
    return parse(APPLIED_PATH.read_bytes()) if APPLIED_PATH.exists() else None


def save_applied(desired: DesiredConfig) -> None:
    """Records that an object is in force, and writes its values where this host's programs read their parameters."""
    files.write(config.VALUES_PATH, json.dumps(desired.values, indent=2) + "\n")
    files.write(APPLIED_PATH, desired.body)
    FAILURE_PATH.unlink(missing_ok=True)


def save_failure(failure: ConfigurationFailure) -> None:
    """Records why an object is not in force, for this host's readiness record."""
    files.write(FAILURE_PATH, json.dumps(asdict(failure)))


def record_fields() -> dict[str, object]:
    """Returns the readiness record's fields about the configuration; empty if the host has none."""
    current = read_applied()
    problem = cast("dict[str, object]", json.loads(FAILURE_PATH.read_text())) if FAILURE_PATH.exists() else None
    if current is None and problem is None:
        return {}
    return {"configuration_sha256": current.sha256 if current else None, "configuration_problem": problem}
