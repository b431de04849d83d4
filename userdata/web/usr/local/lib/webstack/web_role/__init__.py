"""A web host: Nginx, the app under Gunicorn, and the way to the databases."""

from web_role.checks import check
from web_role.configuration import configure

__all__ = ["check", "configure", "metadata_users"]

metadata_users: tuple[str, ...] = ()
