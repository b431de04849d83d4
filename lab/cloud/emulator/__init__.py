"""Patches to moto where it is more lenient than AWS, or loses what AWS keeps, in a way that this project's stacks can notice.

Each module patches one concern; each patch says what AWS does. `install` applies all of them to this process, once, before the first call.
moto's models are plain Python objects, so a patch replaces a method of one of its classes. If a new version of moto lacks the method, the
start fails with its name (`patching.replace`).
"""

from ipaddress import IPv4Network

from lab.cloud.emulator import (
    addresses,
    bucket_policies,
    buckets,
    dependencies,
    dns_records,
    hosted_zones,
    images,
    instance_attributes,
    instance_options,
    instance_profiles,
    instance_state,
    launch,
    log_groups,
    permissions_boundaries,
    quotas,
    secrets,
    security_group_rules,
    ssm_parameters,
    volume_modifications,
    volumes,
    vpc_endpoints,
)

DEFAULT_PUBLIC_RANGE = IPv4Network("203.0.113.0/24")
"""TEST-NET-3 (RFC 5737), used where no machine needs to reach the addresses."""


def install(*, public_range: IPv4Network = DEFAULT_PUBLIC_RANGE, machines: bool = False) -> None:
    """Applies every patch to moto in this process.

    `public_range`: the range of Elastic IPs and automatic public addresses.
    `machines`: whether a hypervisor boots machines for the instances. If so, starting, stopping, terminating and detaching a volume take
    until it reports them done (`lab.cloud.moto_server`); otherwise they are done at once.
    """
    images.install()
    ssm_parameters.install()
    launch.install()
    instance_options.install()
    quotas.install()
    instance_attributes.install()
    addresses.install(public_range)
    dependencies.install()
    vpc_endpoints.install()
    security_group_rules.install()
    hosted_zones.install()
    dns_records.install()
    volumes.install(machines=machines)
    volume_modifications.install()
    secrets.install()
    log_groups.install()
    permissions_boundaries.install()
    instance_profiles.install()
    bucket_policies.install()
    buckets.install()
    instance_state.install(machines=machines)
