"""What `webstack-configure` and `webstack-reconfigure` call on a load balancer."""

from webstack_host import config
from webstack_host.desired_config import DesiredConfig
from webstack_host.readiness import CheckResult

from load_balancer_role import checks, configuration
from load_balancer_role.configuration import configure, reload
from load_balancer_role.variables import LoadBalancerConfiguration, LoadBalancerVariables

__all__ = ["apply_configuration", "check", "configure", "metadata_users", "reapply_interval", "reload"]

metadata_users: tuple[str, ...] = ()


def check() -> CheckResult:
    """Checks whether this host serves (see `checks.check`). Reads the parameters again, since a reload changes some of them."""
    return checks.check(config.load(LoadBalancerVariables))


def apply_configuration(desired: DesiredConfig) -> bool:
    """Installs an object's configuration (see `configuration.apply_configuration`). Raises PermanentError."""
    return configuration.apply_configuration(desired.parse_values(LoadBalancerConfiguration), desired.files)


def reapply_interval(desired: DesiredConfig) -> float:
    """Returns the seconds after which an object is applied again (see `configuration.reapply_interval`). Raises PermanentError."""
    return configuration.reapply_interval(desired.parse_values(LoadBalancerConfiguration))
