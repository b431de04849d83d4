# ruff: noqa: N999, N813 (cloud-init finds the module by this name)
# pyright: basic, reportMissingImports=false
# (cloudinit is a package of the host image, absent where this file is checked)
"""cloud-init's own Ec2 data source, adapted to a machine that has no DMI tables and already has its address."""

from cloudinit.sources import DataSourceEc2 as ec2

_UUID = "ec2e1916-9099-7caf-fd21-012345abcdef"

ec2._collect_platform_data = lambda: {
    "uuid": _UUID,
    "serial": _UUID,
    "asset_tag": "",
    "vendor": "amazon ec2",
    "product_name": "",
}
ec2.DataSourceEc2Local.perform_dhcp_setup = False
get_datasource_list = ec2.get_datasource_list
