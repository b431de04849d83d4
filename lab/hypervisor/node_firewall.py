"""What keeps a lab's hosts from this machine's own services and from what lies behind it: a table of nftables for the lab's link.

This machine stands for the internet: it may ask hosts, and what answers passes. What a host begins is refused here, at whatever address, as
by a machine that serves nothing: at once, so that nobody waits. Rules of the system's own firewall hold beside it, since a packet must pass
the chains of all tables (nft(8), "Verdict statements": accept).
"""

import contextlib
import shutil

from lab.hypervisor.run import CommandError, run
from lab.names import LabNames


def table_script(names: LabNames) -> str:
    """The nftables script that puts the lab's table anew. `permitted` holds ports that hosts may reach after all; it begins empty."""
    table = f"inet {names.prefix}"
    return f"""\
table {table}
delete table {table}
table {table} {{
  set permitted {{
    type inet_proto . inet_service
  }}
  chain here {{
    type filter hook input priority filter - 20; policy accept;
    iifname "{names.wan_link}" ct state established,related accept
    iifname "{names.wan_link}" meta l4proto . th dport @permitted accept
    iifname "{names.wan_link}" meta l4proto tcp counter reject with tcp reset
    iifname "{names.wan_link}" counter reject
  }}
  chain beyond {{
    type filter hook forward priority filter - 20; policy accept;
    iifname "{names.wan_link}" ct state established,related accept
    iifname "{names.wan_link}" meta l4proto tcp counter reject with tcp reset
    iifname "{names.wan_link}" counter reject
  }}
}}
"""


def install(names: LabNames) -> None:
    """Puts the table; before the lab's link is made, so that there is no moment without. Raises CommandError."""
    run(["nft", "-f", "-"], stdin=table_script(names), timeout=30)


def is_installed(names: LabNames) -> bool:
    """Whether the table is there; not where there is no nft(8) to have put it."""
    return shutil.which("nft") is not None and f"table inet {names.prefix}" in run(["nft", "list", "tables"], timeout=30).splitlines()


def uninstall(names: LabNames) -> None:
    """Takes the table away; one that is not there is fine."""
    if is_installed(names):
        with contextlib.suppress(CommandError):  # another tear-down of the lab was quicker
            run(["nft", "delete", "table", "inet", names.prefix], timeout=30)
