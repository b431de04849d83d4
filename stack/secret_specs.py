"""What the stack's secrets are for. Without the engine's libraries: `webstack rotate` reads it too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class SecretSpec:
    """What a secret is for. Who reads it: `RoleSpec.secrets`."""

    description: str
    length: int = 32
    account: bool = False
    """Whether it is the password of an account of MySQL."""


SECRET_SPECS: Final[Mapping[str, SecretSpec]] = {
    "database-replication": SecretSpec(description="MySQL account by which a replica follows its source", account=True),
    "database-clone": SecretSpec(description="MySQL account by which a new replica copies its donor", account=True),
    "app-migrator": SecretSpec(description="MySQL account that changes the app's schema", account=True),
    "app-writer": SecretSpec(description="MySQL account of the app's writes", account=True),
    "app-reader": SecretSpec(description="MySQL account of the app's reads", account=True),
    "web-tls": SecretSpec(description="key of the web hosts' certificate towards load balancers", length=64),
    "app-session-key": SecretSpec(description="key that signs the app's session cookies", length=64),
}

SESSION_KEY: Final = "app-session-key"
DATABASE_SECRETS: Final = tuple(name for name, purpose in SECRET_SPECS.items() if purpose.account)
"""Those that are passwords of MySQL accounts."""
ROTATABLE_SECRETS: Final = (SESSION_KEY, *DATABASE_SECRETS)
"""Those that change while the site serves; the others change with the environment."""
