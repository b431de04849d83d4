"""A load balancer: HAProxy in front, keepalived for the role, the Elastic IP where the role is."""

from load_balancer_role.checks import check
from load_balancer_role.configuration import apply_configuration, configure, reapply_interval, reload

__all__ = ["apply_configuration", "check", "configure", "metadata_users", "reapply_interval", "reload"]

metadata_users: tuple[str, ...] = ()
