"""The scratch folder that the engine works in: copies of the project's files, so that nothing is ever written into the clone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from lab.errors import LabError
from lab.files import write_whole

PROJECT = "webstack"

OF_AWS_ALONE = frozenset(
    f"aws:{key}"
    for key in (
        "accessKey", "allowedAccountIds", "assumeRoleWithWebIdentity", "assumeRoles", "customCaBundle", "ec2MetadataServiceEndpoint",
        "ec2MetadataServiceEndpointMode", "forbiddenAccountIds", "httpProxy", "httpsProxy", "insecure", "noProxy", "profile",
        "secretKey", "sharedConfigFiles", "sharedCredentialsFiles", "stsRegion", "token", "useDualstackEndpoint", "useFipsEndpoint",
    )
)  # fmt: skip
"""Settings of the provider (pulumi_aws.ProviderArgs) that say by whom, in which account and on which way AWS is called: not the lab."""

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
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in repository.glob("Pulumi.*.yaml"))


def lay_out(
    folder: Path,
    *,
    repository: Path,
    stack: str,
    config_file: Path | None = None,
    settings: Sequence[Setting] = (),
    lab_config: Mapping[str, object] | None = None,
) -> None:
    """Writes Pulumi.yaml and the stack's file into the scratch folder, with the settings and the lab's own configuration put in.

    Of the user's file only `config` is taken, and of that nothing that says who calls AWS and how: salt, encrypted key, secrets provider
    and environments belong to the stack on AWS, and the lab has neither its keys nor its accounts. Keeps the encryption salt that the
    engine wrote there at the stack's first run. Raises SettingError, also where a value is secure and no setting replaces it.
    """
    source = config_file or repository / f"Pulumi.{stack}.yaml"
    if not source.is_file():
        if config_file is not None:
            raise SettingError(f"--config-file {str(source)!r}: there is no such file")
        known = ", ".join(stack_names(repository)) or "none"
        raise SettingError(f"--stack {stack!r}: there is no Pulumi.{stack}.yaml here. Stack files: {known}")
    config = {key: value for key, value in _config(source).items() if key not in OF_AWS_ALONE}
    for setting in settings:
        setting.apply(config)
    config.update(lab_config or {})
    for key, value in config.items():
        _refuse_secure(source, key, value)
    target = folder / f"Pulumi.{stack}.yaml"
    content: Config = {"config": config}
    salt = _salt(target)
    if salt is not None:
        content["encryptionsalt"] = salt
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(target, yaml.safe_dump(content, sort_keys=False))
    write_whole(folder / "Pulumi.yaml", (repository / "Pulumi.yaml").read_text())


def _config(path: Path) -> Config:
    content = _load(path)
    config = content.get("config")
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise SettingError(f"{path.name}: `config` is {config!r}; it is an object with keys such as webstack:web")
    return cast("Config", config)


def _refuse_secure(path: Path, key: str, value: object) -> None:
    """Raises SettingError where a value, or one inside it, is encrypted (`secure: …`, as `pulumi config set --secret` writes it)."""
    if isinstance(value, list):
        for number, one in enumerate(cast("list[object]", value)):
            _refuse_secure(path, f"{key}.{number}", one)
    if not isinstance(value, dict):
        return
    below = cast("Config", value)
    if set(below) == {"secure"}:
        name = key.removeprefix(f"{PROJECT}:")
        raise SettingError(
            f"{path.name}: {key} is encrypted with a key that the lab does not have. Give it a value for the lab: --set {name}=VALUE"
        )
    for part, one in below.items():
        _refuse_secure(path, f"{key}.{part}", one)


def _salt(target: Path) -> object | None:
    """The salt of the engine's own last run; a file that it left half-written holds none, and the engine makes another."""
    try:
        return _load(target).get("encryptionsalt") if target.exists() else None
    except SettingError:
        return None


class _Loader(yaml.SafeLoader):
    """Leaves a time as the text that it is, and does not write another form of it."""


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def _load(path: Path) -> Config:
    try:
        loaded: object = yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"{path.name} is not YAML: {error}") from error
    except OSError as error:
        raise SettingError(f"{path.name} cannot be read: {error.strerror}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingError(f"{path.name}: a stack file is an object with the key `config`")
    return cast("Config", loaded)
