"""Keeps a lab's hosts away from this machine's services and from the networks behind it, with an nftables table for the lab's link.

This machine plays the internet: it may connect to hosts, and their replies pass. Connections that a host starts are rejected here, whatever
the address, as by a machine without services: immediately, so that no host waits. The system's own firewall still applies, since a packet
must pass the chains of all tables (nft(8), "Verdict statements": accept).
"""

import contextlib
import shutil

from lab.hypervisor.run import CommandError, run
from lab.names import LabNames


def table_script(names: LabNames) -> str:
    """Returns the nftables script that replaces the lab's table. The set `permitted` holds ports that hosts may reach; it starts empty."""
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
    """Loads the table. Must run before the lab's link is made, so that the link is never unprotected. Raises CommandError."""
    run(["nft", "-f", "-"], stdin=table_script(names), timeout=30)


def is_installed(names: LabNames) -> bool:
    """Whether the table is loaded. False if nft(8) is not installed, since then nothing can have loaded it."""
    return shutil.which("nft") is not None and f"table inet {names.prefix}" in run(["nft", "list", "tables"], timeout=30).splitlines()


def uninstall(names: LabNames) -> None:
    """Removes the table if it exists."""
    if is_installed(names):
        with contextlib.suppress(CommandError):  # another tear-down has just removed it
            run(["nft", "delete", "table", "inet", names.prefix], timeout=30)
