"""What every host is told. A role's own dataclasses, made of these, stand in its tree: `<role>_role/variables.py`.

The program makes an object of them and renders it; hosts load an equal one (`webstack_host.config`). It is the only data that travels from
the stack into user data.

The fields are the context of every template under `userdata/` and, in this order, the keys of `/etc/webstack/host.json`, which is the one
place that programs on the host read their parameters from. No field may ever hold a secret: user data is readable by
everybody who may describe the instance. `config` knows the types that a field may have: `str`, `int`, `bool`, `Literal`, another
dataclass, and tuples of these.
"""

from dataclasses import dataclass, fields
from typing import ClassVar

Role = str
"""The name of a role: of its tree under `userdata/` and of its spec in `stack/roles/`."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A tar.gz in the artifact bucket; `sha256` is that of its bytes, in hex."""

    key: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """One database host as others reach it."""

    host: str
    address: str
    """Its fixed private address."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The values of a configuration object: variables that only files and programs use which a running host takes over by a reload, so
    that a change of them needs no stop. These are the ones of a role without any.

    EC2 changes user data only while an instance is stopped
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html, `UserData`): what stands here is therefore
    not in the user data but in the host's configuration object in the artifact bucket.
    """


@dataclass(frozen=True, kw_only=True)
class HostVariables:
    """What every role is told. One whose hosts reload something derives its variables of its `Configuration` besides."""

    packages: ClassVar[tuple[str, ...]]
    """Debian's packages, installed by the boot script at a host's first boot. MySQL's: `database_role.install`."""
    configuration: ClassVar[type[Configuration]] = Configuration
    reloadable_files: ClassVar[tuple[str, ...]] = ()
    """Rendered files that are in the configuration object, by their paths on the host."""

    role: Role
    host: str
    """`web-1`: the host's name, unique in its environment."""
    region: str
    """AWS region of every call."""
    zone: str
    """The private DNS zone, without a dot at its end."""
    bucket: str
    """The artifact bucket's name."""
    role_bundle: Bundle
    secret_prefix: str
    """`webstack/<environment>-<stack id>`: a secret is named by it, a slash and its purpose."""
    readiness_timeout: int
    """Seconds from the end of the configuration until the host's own check must have passed."""
    configuration_key: str = ""
    """The object in the artifact bucket that says what a reload applies and which user data is wanted; empty for cattle."""
    upgrades_at: str = ""
    """When security upgrades are installed, as systemd.time(7) has it: `*-*-* 03:00 UTC`. Empty where nobody installs them."""
    reboot_day: str = ""
    """The day in UTC, as `sunday`, on which a reboot that an upgrade needs follows it; `daily`, or empty for never."""

    @classmethod
    def reloadable(cls) -> tuple[str, ...]:
        """The names of the variables that a reload applies."""
        return tuple(field.name for field in fields(cls.configuration))
