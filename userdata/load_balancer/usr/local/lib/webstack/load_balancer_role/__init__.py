"""A load balancer: HAProxy in front, keepalived for the role, the Elastic IP where the role is."""

from load_balancer_role.checks import check
from load_balancer_role.configuration import apply_again_after, apply_configuration, configure, reload

__all__ = ["apply_again_after", "apply_configuration", "check", "configure", "metadata_users", "reload"]

metadata_users: tuple[str, ...] = ()
