"""The parameters of every host. Each role derives its own dataclasses from these in `<role>_role/variables.py`.

The program makes such an object and renders it; hosts load an equal one (`webstack_host.config`). It is the only data that passes from the
stack into user data.

The fields are the context of every template under `userdata/` and, in this order, the keys of `/etc/webstack/host.json`, the only file from
which programs on the host read their parameters. No field may contain a secret, since everyone who may describe the instance can read user
data. `config` supports these field types: `str`, `int`, `bool`, `Literal`, another dataclass, and tuples of these.
"""

from dataclasses import dataclass, fields
from typing import ClassVar

Role = str
"""The name of a role, of its tree under `userdata/` and of its spec in `stack/roles/`."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A tar.gz in the artifact bucket; `sha256` is its hash in hex."""

    key: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """The name and address at which others reach a database host."""

    host: str
    address: str
    """Its fixed private address."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The values of a configuration object: variables used only by files and programs that a running host can reload, so that changing them
    needs no stop. This base class, for roles without any, is empty.

    EC2 changes user data only while an instance is stopped
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html, `UserData`). These values are therefore not in
    the user data but in the host's configuration object in the artifact bucket.
    """


@dataclass(frozen=True, kw_only=True)
class HostVariables:
    """The variables of every role. A role with a configuration object also derives its variables from its `Configuration`."""

    packages: ClassVar[tuple[str, ...]]
    """Debian packages that the boot script installs at the first boot. MySQL's are installed by `database_role.install`."""
    configuration: ClassVar[type[Configuration]] = Configuration
    reloadable_files: ClassVar[tuple[str, ...]] = ()
    """Paths on the host of the rendered files that are in the configuration object."""

    role: Role
    host: str
    """The host's name, such as `web-1`, unique in its environment."""
    region: str
    """The AWS region of all calls."""
    zone: str
    """The private DNS zone, without a final dot."""
    bucket: str
    """The artifact bucket's name."""
    role_bundle: Bundle
    secret_prefix: str
    """The prefix of secrets' names, `webstack/<environment>-<stack id>`; a slash and the purpose follow."""
    readiness_timeout: int
    """Seconds after the end of the configuration within which the host's own check must pass."""
    configuration_key: str = ""
    """The key of the configuration object in the artifact bucket; empty for roles without one."""
    upgrades_at: str = ""
    """When security upgrades are installed, as in systemd.time(7): `*-*-* 03:00 UTC`. Empty: never."""
    reboot_day: str = ""
    """The day (UTC), such as `sunday`, on which the host may reboot for upgrades; `daily` for any day, empty for never."""

    @classmethod
    def reloadable(cls) -> tuple[str, ...]:
        """Returns the names of the variables that a reload applies."""
        return tuple(field.name for field in fields(cls.configuration))
