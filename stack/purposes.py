"""What the stack's secrets are for. Without the engine's libraries: `webstack rotate` reads it too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a secret is for. Who reads it: `RoleSpec.secrets`."""

    what: str
    length: int = 32
    account: bool = False
    """Whether it is the password of an account of MySQL."""


PURPOSES: Final[Mapping[str, Purpose]] = {
    "database-replication": Purpose(what="MySQL account by which a replica follows its source", account=True),
    "database-clone": Purpose(what="MySQL account by which a new replica copies its donor", account=True),
    "app-migrator": Purpose(what="MySQL account that changes the app's schema", account=True),
    "app-writer": Purpose(what="MySQL account of the app's writes", account=True),
    "app-reader": Purpose(what="MySQL account of the app's reads", account=True),
    "web-tls": Purpose(what="key of the web hosts' certificate towards load balancers", length=64),
    "app-session-key": Purpose(what="key that signs the app's session cookies", length=64),
}

SESSION_KEY: Final = "app-session-key"
ACCOUNTS: Final = tuple(name for name, purpose in PURPOSES.items() if purpose.account)
"""Those that are passwords of MySQL accounts."""
ROTATED: Final = (SESSION_KEY, *ACCOUNTS)
"""Those that change while the site serves; the others change with the environment."""
