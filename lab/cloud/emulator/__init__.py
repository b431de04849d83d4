"""What the lab adds to moto: where moto is kinder than AWS, or forgets what AWS keeps, in a way that this project's stacks can notice.

Each module patches one concern and says, per patch, what AWS does. `install` applies all of them to this process, once, before the
first call. moto keeps its models in plain Python objects, so a patch replaces a method of one of its classes; a method that a new
version of moto no longer has stops the start with its name (`patching.replace`).
"""

from ipaddress import IPv4Network

from lab.cloud.emulator import (
    addresses,
    attributes,
    boundaries,
    bucket_policies,
    buckets,
    dependencies,
    endpoints,
    images,
    instance_options,
    launch,
    log_groups,
    modifications,
    parameters,
    power,
    profiles,
    quotas,
    records,
    rules,
    secrets,
    storage,
    zones,
)

DEFAULT_PUBLIC_RANGE = IPv4Network("203.0.113.0/24")
"""TEST-NET-3 (RFC 5737): where no machine has to reach the addresses."""


def install(*, public_range: IPv4Network = DEFAULT_PUBLIC_RANGE, machines: bool = False) -> None:
    """Applies every patch to moto in this process.

    `public_range`: where Elastic IPs and automatic public addresses come from.
    `machines`: whether somebody boots machines for the instances. If so, starting, stopping, terminating and detaching a volume last
    until it reports that they are done (`lab.cloud.api_server`); else they are done at once.
    """
    images.install()
    parameters.install()
    launch.install()
    instance_options.install()
    quotas.install()
    attributes.install()
    addresses.install(public_range)
    dependencies.install()
    endpoints.install()
    rules.install()
    zones.install()
    records.install()
    storage.install(machines=machines)
    modifications.install()
    secrets.install()
    log_groups.install()
    boundaries.install()
    profiles.install()
    bucket_policies.install()
    buckets.install()
    power.install(machines=machines)
