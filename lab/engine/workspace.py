"""The engine's scratch folder: it has copies of the project's files, so that nothing is ever written into the clone."""

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from lab.engine import stack_yaml
from lab.engine.state_errors import translate_state_errors
from lab.errors import LabError
from lab.files import write_atomic

PROJECT = "webstack"

AWS_ONLY_KEYS = frozenset(
    f"aws:{key}"
    for key in (
        "accessKey", "allowedAccountIds", "assumeRoleWithWebIdentity", "assumeRoles", "customCaBundle", "ec2MetadataServiceEndpoint",
        "ec2MetadataServiceEndpointMode", "forbiddenAccountIds", "httpProxy", "httpsProxy", "insecure", "noProxy", "profile",
        "secretKey", "sharedConfigFiles", "sharedCredentialsFiles", "stsRegion", "token", "useDualstackEndpoint", "useFipsEndpoint",
    )
)  # fmt: skip
"""Provider settings (pulumi_aws.ProviderArgs) about credentials, account and endpoints. They are for AWS, not for the lab."""

Config = dict[str, object]


class SettingError(LabError):
    """An invalid `KEY=VALUE`, stack name or stack file; the message says which, why and what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value that overrides the stack file's: `path` below the configuration key `key`, as in `pulumi config set --path`."""

    key: str
    path: tuple[str, ...]
    value: object

    @classmethod
    def parse(cls, text: str) -> "Setting":
        """Parses `web.count=3` (the project's own key) or `aws:region=eu-west-1`; the value is YAML.

        Raises SettingError if the text has another form.
        """
        name, equals, value = text.partition("=")
        namespace, colon, rest = name.strip().rpartition(":")
        parts = tuple(rest.split("."))
        if not equals or not all(parts):
            raise SettingError(f"--set {stack_yaml.abbreviated(text)}: write KEY=VALUE, for example --set web.count=3")
        try:
            loaded = stack_yaml.parse(value)
        except stack_yaml.YamlError as error:
            raise SettingError(f"--set {stack_yaml.abbreviated(text)}: the value {str(error).splitlines()[0]}") from None
        return cls(key=f"{namespace if colon else PROJECT}:{parts[0]}", path=parts[1:], value=loaded)

    def apply(self, config: Config) -> None:
        """Sets the value in a stack's configuration; makes missing objects on its path. Raises SettingError."""
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
    """Returns the names of the environments that have a stack file in the clone."""
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in repository.glob("Pulumi.*.yaml") if path.is_file())


def write_workspace(
    folder: Path,
    *,
    repository: Path,
    stack: str,
    config_file: Path | None = None,
    settings: Sequence[Setting] = (),
    lab_config: Mapping[str, object] | None = None,
) -> None:
    """Writes Pulumi.yaml and the stack's file into the scratch folder, merged with the settings and the lab's own configuration.

    From the user's file only `config` is used, without the settings about credentials and endpoints: salt, encrypted key, secrets provider
    and environments belong to the stack on AWS, and the lab has neither its keys nor its accounts. Keeps the encryption salt that the
    engine wrote at the stack's first run. Raises SettingError, also if a value is encrypted and no setting overrides it, and
    CorruptStateError or StateAccessError if the folder cannot be written.
    """
    source = _source(repository, stack, config_file)
    project = _bytes(repository / "Pulumi.yaml")
    config = {key: value for key, value in _config(source).items() if key not in AWS_ONLY_KEYS}
    for setting in settings:
        setting.apply(config)
    config.update(lab_config or {})
    for key, value in config.items():
        _reject_encrypted(source, key, value)
    target = folder / f"Pulumi.{stack}.yaml"
    content: Config = {"config": config}
    salt = _salt(target)
    if salt is not None:
        content["encryptionsalt"] = salt
    with translate_state_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(target, yaml.safe_dump(content, sort_keys=False))
        write_atomic(folder / "Pulumi.yaml", project.decode())


def read_config(repository: Path, stack: str) -> Config:
    """Returns the configuration in a stack's file, with each key's namespace. Raises SettingError."""
    return _config(_source(repository, stack, None))


def _source(repository: Path, stack: str, config_file: Path | None) -> Path:
    """Returns the file with the stack's configuration. Raises SettingError if there is none."""
    source = config_file or repository / f"Pulumi.{stack}.yaml"
    option = f"--stack {stack!r}" if config_file is None else f"--config-file {str(config_file)!r}"
    try:
        mode = source.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if config_file is not None:
            raise SettingError(f"{option}: there is no such file") from None
        known = ", ".join(stack_names(repository)) or "none"
        raise SettingError(f"{option}: there is no {source.name} here. Stack files: {known}") from None
    except OSError as error:
        raise SettingError(f"{option}: {source.name} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no plain file"
        raise SettingError(f"{option}: {source} is {kind}; a stack's configuration is a YAML file with the key `config`")
    return source


def _config(path: Path) -> Config:
    content = _load(path)
    config = content.get("config")
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise SettingError(f"{path.name}: `config` is {config!r}; it is an object with keys such as webstack:web")
    whole: Config = {}
    for key, value in cast("Config", config).items():
        if ":" not in key and not key[:1].isalpha():
            raise SettingError(f"{path.name}: {key!r} is no configuration key; write NAMESPACE:NAME, for example {PROJECT}:web")
        name = key if ":" in key else f"{PROJECT}:{key}"  # as the CLI reads it
        if name in whole:
            raise SettingError(f"{path.name}: {name} stands there twice, once without its namespace; keep one of them")
        whole[name] = value
    return whole


def _reject_encrypted(path: Path, key: str, value: object) -> None:
    """Raises SettingError if a value, or one inside it, is encrypted (`secure: …`, as `pulumi config set --secret` writes it)."""
    if isinstance(value, list):
        for number, one in enumerate(cast("list[object]", value)):
            _reject_encrypted(path, f"{key}.{number}", one)
    if not isinstance(value, dict):
        return
    below = cast("Config", value)
    if set(below) == {"secure"}:
        name = key.removeprefix(f"{PROJECT}:")
        raise SettingError(
            f"{path.name}: {key} is encrypted with a key that the lab does not have. Give it a value for the lab: --set {name}=VALUE"
        )
    for part, one in below.items():
        _reject_encrypted(path, f"{key}.{part}", one)


def _salt(target: Path) -> object | None:
    """Returns the salt of the engine's last run. A half-written file has none, and the engine makes a new one."""
    try:
        return _load(target).get("encryptionsalt") if target.exists() else None
    except SettingError:
        return None


def _load(path: Path) -> Config:
    try:
        loaded = stack_yaml.parse(_bytes(path))
    except stack_yaml.YamlError as error:
        raise SettingError(f"{path.name} {error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingError(f"{path.name}: a stack file is an object with the key `config`")
    return cast("Config", loaded)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(f"{path.name} cannot be read: {error.strerror}") from None
