"""A load balancer: HAProxy in front, keepalived for the role, the Elastic IP where the role is."""
