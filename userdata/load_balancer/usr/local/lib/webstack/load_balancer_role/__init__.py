"""A load balancer: HAProxy, keepalived to elect the active host, and the Elastic IP, which the active host takes."""
