"""The scratch folder that the engine works in: copies of the project's files, so that nothing is ever written into the clone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from lab.errors import LabError

PROJECT = "webstack"

Config = dict[str, object]


class SettingError(LabError):
    """A `KEY=VALUE` or a stack name that cannot be taken; the message says which, why and what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value that replaces the stack file's: `path` below the configuration key `key`, as in `pulumi config set --path`."""

    key: str
    path: tuple[str, ...]
    value: object

    @classmethod
    def parse(cls, text: str) -> "Setting":
        """Reads `web.count=3` (the project's own key) or `aws:region=eu-west-1`; the value is YAML.

        Raises SettingError where it is not of that form.
        """
        name, equals, value = text.partition("=")
        namespace, colon, rest = name.strip().rpartition(":")
        parts = tuple(rest.split("."))
        if not equals or not all(parts):
            raise SettingError(f"--set {text!r}: write KEY=VALUE, for example --set web.count=3")
        try:
            loaded: object = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingError(f"--set {text!r}: the value is not YAML ({str(error).splitlines()[0]}); quote it if it is text") from error
        return cls(key=f"{namespace if colon else PROJECT}:{parts[0]}", path=parts[1:], value=loaded)

    def apply(self, config: Config) -> None:
        """Puts the value into a stack's configuration, making the objects on the way to it."""
        path = (self.key, *self.path)
        node = config
        for part in path[:-1]:
            below = node.get(part)
            if below is None:
                below = node[part] = {}
            if not isinstance(below, dict):
                raise SettingError(f"--set {'.'.join(path)}: {part} is {below!r}, not an object with keys below it")
            node = cast("Config", below)
        node[path[-1]] = self.value


def stack_names(repository: Path) -> list[str]:
    """The environments that the clone has a stack file for."""
    return sorted(path.name.split(".")[1] for path in repository.glob("Pulumi.*.yaml"))


def lay_out(
    folder: Path,
    *,
    repository: Path,
    stack: str,
    settings: Sequence[Setting] = (),
    lab_config: Mapping[str, object] | None = None,
) -> None:
    """Writes Pulumi.yaml and the stack's file into the scratch folder, with the settings and the lab's own configuration put in.

    Keeps the encryption salt that the engine wrote there at the stack's first run. Raises SettingError.
    """
    source = repository / f"Pulumi.{stack}.yaml"
    if not source.exists():
        known = ", ".join(stack_names(repository)) or "none"
        raise SettingError(f"--stack {stack!r}: there is no Pulumi.{stack}.yaml here. Stack files: {known}")
    target = folder / source.name
    content = _load(source)
    config = cast("Config", content.setdefault("config", {}) or {})
    content["config"] = config
    for setting in settings:
        setting.apply(config)
    config.update(lab_config or {})
    if target.exists() and "encryptionsalt" in (kept := _load(target)):
        content["encryptionsalt"] = kept["encryptionsalt"]
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "Pulumi.yaml").write_text((repository / "Pulumi.yaml").read_text())


def _load(path: Path) -> Config:
    try:
        loaded: object = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise SettingError(f"{path.name} is not YAML: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingError(f"{path.name}: a stack file is an object with the key `config`")
    return cast("Config", loaded)
