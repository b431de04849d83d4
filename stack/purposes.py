"""What the stack's secrets are for. Without the engine's libraries: `webstack rotate` reads it too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from userdata.variables import Role


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a secret is for and which roles may read it."""

    what: str
    readers: tuple[Role, ...]
    length: int = 32


PURPOSES: Final[Mapping[str, Purpose]] = {
    "database-replication": Purpose(what="MySQL account by which a replica follows its source", readers=("database",)),
    "database-clone": Purpose(what="MySQL account by which a new replica copies its donor", readers=("database",)),
    "app-migrator": Purpose(what="MySQL account that changes the app's schema", readers=("web", "database")),
    "app-writer": Purpose(what="MySQL account of the app's writes", readers=("web", "database")),
    "app-reader": Purpose(what="MySQL account of the app's reads", readers=("web", "database")),
    "web-tls": Purpose(what="key of the web hosts' certificate towards load balancers", readers=("load_balancer", "web"), length=64),
    "app-session-key": Purpose(what="key that signs the app's session cookies", readers=("web",), length=64),
}

SESSION_KEY: Final = "app-session-key"
ACCOUNTS: Final = tuple(name for name, purpose in PURPOSES.items() if "database" in purpose.readers)
"""Those that are passwords of MySQL accounts."""
ROTATED: Final = (SESSION_KEY, *ACCOUNTS)
"""Those that change while the site serves; the others change with the environment."""
