"""The roles of hosts, each said in one place. A new one is a line here, with its spec beside it and its tree under `userdata/`."""

from typing import Final

from webstack_host.variables import Role

from stack.roles import database, load_balancer, web
from stack.roles.spec import RoleSpec

SPECS: Final[tuple[RoleSpec, ...]] = (load_balancer.SPEC, web.SPEC, database.SPEC)
ROLES: Final[tuple[Role, ...]] = tuple(spec.name for spec in SPECS)
"""Their names."""


def role_spec(role: Role) -> RoleSpec:
    """The spec of a role. Raises LookupError for a name that no role has."""
    found = next((spec for spec in SPECS if spec.name == role), None)
    if found is None:
        raise LookupError(f"there is no role {role!r}; there are {', '.join(ROLES)}")
    return found
