"""What `webstack-configure` calls on a database host."""

from webstack_host import config
from webstack_host.readiness import CheckResult

from . import checks, configuration
from .paths import AGENT_USER
from .variables import DatabaseVariables

metadata_users: tuple[str, ...] = (AGENT_USER,)


def configure() -> None:
    """Prepares this host up to the start of mysqld (see `configuration.configure`)."""
    configuration.configure(config.load(DatabaseVariables))


def check() -> CheckResult:
    """Checks whether this host serves (see `checks.check`)."""
    return checks.check(config.load(DatabaseVariables))
