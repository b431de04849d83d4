"""Who on this host may ask the metadata service: root, and the users of the role's own agents. Whoever asks it gets the role's rights.

By the kernel's routing rules, which know a packet's user (ip-rule(8), `uidrange`); AWS proposes a firewall's owner match for the same
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html), which would be one package more. That networkd
leaves rules of others alone is in /etc/systemd/networkd.conf.d/webstack.conf.
"""

import pwd
from collections.abc import Sequence

from webstack_host.run import run

ADDRESS = "169.254.169.254"
ALLOW_PRIORITY, DENY_PRIORITY = "1690", "1691"
"""Priorities: lower ones are looked at first. All are before the table of the host's routes (32766)."""
ALL_BUT_ROOT = "1-4294967294"


def restrict(users: Sequence[str]) -> None:
    """Refuses everybody's packets to the service but root's and those of `users`. Harmless where it holds already.

    Raises CommandError, and KeyError for a user who is not there.
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
