"""VPCs, subnets, gateways, routes, endpoints, flow logs."""
