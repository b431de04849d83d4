"""What `webstack-configure` calls on a web host."""

from webstack_host import config
from webstack_host.readiness import CheckResult

from web_role import checks, configuration
from web_role.variables import WebVariables

metadata_users: tuple[str, ...] = ()


def configure() -> None:
    """Installs this host's files (see `configuration.configure`)."""
    configuration.configure(config.load(WebVariables))


def check() -> CheckResult:
    """Checks whether this host serves (see `checks.check`)."""
    return checks.check(config.load(WebVariables))
