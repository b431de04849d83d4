"""Products, users and orders."""

from alembic import op
from shop.model import EXACT_64, EXACT_254, ROW_ID, TIMESTAMP
from sqlalchemy import Column, ForeignKey, Index, Integer, String, UniqueConstraint

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create what is not there: a host that died half-way through has left some tables, and MySQL cannot take them back."""
    op.create_table(
        "products",
        Column("id", Integer, primary_key=True),
        Column("slug", EXACT_64, nullable=False, unique=True),
        Column("name", String(100), nullable=False),
        Column("summary", String(200), nullable=False),
        Column("description", String(2000), nullable=False),
        Column("price_cents", Integer, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "users",
        Column("id", ROW_ID, primary_key=True),
        Column("email", EXACT_254, nullable=False, unique=True),
        Column("name", String(80), nullable=False),
        Column("password_hash", String(255), nullable=False),
        Column("created_at", TIMESTAMP, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "orders",
        Column("id", ROW_ID, primary_key=True),
        Column("user_id", ROW_ID, ForeignKey("users.id"), nullable=False),
        Column("reference", EXACT_64, nullable=False),
        Column("product_id", Integer, ForeignKey("products.id"), nullable=False),
        Column("quantity", Integer, nullable=False),
        Column("unit_price_cents", Integer, nullable=False),
        Column("created_at", TIMESTAMP, nullable=False),
        UniqueConstraint("user_id", "reference", name="one_order_per_reference"),
        Index("orders_of_user", "user_id", "id"),
        if_not_exists=True,
    )
