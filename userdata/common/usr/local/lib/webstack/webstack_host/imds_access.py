"""Restricts the metadata service to root and the users of the role's own agents, since it gives its callers the IAM role's rights.

It uses the kernel's routing rules, which can match a packet's user (ip-rule(8), `uidrange`). AWS suggests a firewall's owner match
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html), which would need one more package.
/etc/systemd/networkd.conf.d/webstack.conf keeps networkd from removing these rules.
"""

import pwd
from collections.abc import Sequence

from webstack_host.run import run

ADDRESS = "169.254.169.254"
ALLOW_PRIORITY, DENY_PRIORITY = "1690", "1691"
"""Rule priorities: lower ones are evaluated first. All come before the host's main routing table (32766)."""
ALL_BUT_ROOT = "1-4294967294"


def restrict(users: Sequence[str]) -> None:
    """Blocks packets to the service except those of root and `users`. Harmless if repeated.

    Raises CommandError, and KeyError for a user that does not exist.
    """
    known = [line.split() for line in run(["ip", "-4", "rule", "show"]).stdout.splitlines()]
    for user in users:
        number = pwd.getpwnam(user).pw_uid
        _add(known, ALLOW_PRIORITY, f"{number}-{number}", "lookup", "main")
    _add(known, DENY_PRIORITY, ALL_BUT_ROOT, "prohibit")


def _add(existing_rules: Sequence[Sequence[str]], priority: str, range_of_users: str, *action: str) -> None:
    if any(words[0] == f"{priority}:" and range_of_users in words for words in existing_rules if words):
        return
    run(["ip", "-4", "rule", "add", "priority", priority, "to", ADDRESS, "uidrange", range_of_users, *action])
