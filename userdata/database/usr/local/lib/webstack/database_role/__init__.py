"""What a database host runs: MySQL on its data volume, the agent that owns its role, and the role check that routing asks.

`configure` and `check` are what webstack-configure calls. They are imported when they are called, because the parts that decide need
neither AWS nor MySQL's driver.
"""

from typing import TYPE_CHECKING

from .paths import AGENT_USER

if TYPE_CHECKING:
    from webstack_host.config import HostConfig
    from webstack_host.readiness import CheckResult

metadata_users: tuple[str, ...] = (AGENT_USER,)


def configure(config: "HostConfig") -> None:
    """Prepares this host up to the start of mysqld (see `setup.configure`)."""
    from . import configuration

    configuration.configure(config)


def check(config: "HostConfig") -> "CheckResult":
    """Whether this host serves (see `health.check`)."""
    from . import checks

    return checks.check(config)
