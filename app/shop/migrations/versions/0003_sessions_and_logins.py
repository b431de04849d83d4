"""A number that ends a customer's sessions, and how often logins failed. The release before needs neither and is harmed by neither."""

from alembic import op
from shop.model import EXACT_64, TIMESTAMP
from sqlalchemy import Column, Integer, inspect

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is not there: a host that died half-way through has left a part, and MySQL cannot take it back."""
    if "session_number" not in {column["name"] for column in inspect(op.get_bind()).get_columns("users")}:
        op.add_column("users", Column("session_number", Integer, nullable=False, server_default="0"))
    op.create_table(
        "login_failures",
        Column("account", EXACT_64, primary_key=True),
        Column("failures", Integer, nullable=False),
        Column("since", TIMESTAMP, nullable=False),
        if_not_exists=True,
    )
