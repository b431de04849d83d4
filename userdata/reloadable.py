"""What a running host takes over by a reload, so that a change of it needs no stop.

EC2 changes user data only while an instance is stopped
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html, `UserData`): what stands here is therefore not
in the user data but in the host's configuration object in the artifact bucket.
"""

from collections.abc import Mapping
from typing import Final

from userdata.variables import Role

VALUES: Final[Mapping[Role, tuple[str, ...]]] = {
    "load_balancer": ("tls_mode", "tls_secret", "domain", "aliases", "balance", "activity", "web_slots", "limits"),
    "web": (),
    "database": (),
}
"""Variables of a role that only reloadable files and programs use."""

FILES: Final[Mapping[Role, tuple[str, ...]]] = {"load_balancer": ("/etc/haproxy/haproxy.cfg",), "web": (), "database": ()}
"""Rendered files of a role, by their path on the host."""


def any_of(role: Role) -> bool:
    """Whether a reload applies anything on the hosts of a role."""
    return bool(VALUES[role] or FILES[role])
