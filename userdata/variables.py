"""What a host is told. A role's own dataclass, made of `HostVariables`, stands beside its spec in `stack/roles/`.

It is the only data that travels from the stack into user data.

The fields are the context of every template under `userdata/` and, in this order, the keys of `/etc/webstack/host.json`, which is the one
place that programs on the host read their parameters from. No field may ever hold a secret: user data is readable by
everybody who may describe the instance.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

Role = str
"""The name of a role: of its tree here and of its spec in `stack/roles/`."""
Balance = Literal["roundrobin", "leastconn", "random", "source", "uri"]
BackendMode = Literal["active-active", "active-passive"]
TlsMode = Literal["self-signed", "secret"]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A tar.gz in the artifact bucket; `sha256` is that of its bytes, in hex."""

    key: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class HostVariables:
    """What every role is told."""

    packages: ClassVar[tuple[str, ...]]
    """Debian's packages, installed by the boot script at a host's first boot. MySQL's: `database_role.install`."""
    reloadable: ClassVar[tuple[str, ...]] = ()
    """Variables that only files and programs use which a running host takes over by a reload, so that a change of them needs no stop.

    EC2 changes user data only while an instance is stopped
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html, `UserData`): what stands here is therefore
    not in the user data but in the host's configuration object in the artifact bucket.
    """
    reloadable_files: ClassVar[tuple[str, ...]] = ()
    """The same for rendered files, by their paths on the host."""

    project: str
    environment: str
    role: Role
    host: str
    """`web-1`: the host's name, unique in its environment."""
    region: str
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
