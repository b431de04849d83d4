"""The tables: products, users, orders, failed logins."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

# Identifiers compare byte by byte: MySQL's default collation would take "A" for "a" and "é" for "e".
EXACT_64 = String(64).with_variant(mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql")
EXACT_254 = String(254).with_variant(mysql.VARCHAR(254, charset="ascii", collation="ascii_bin"), "mysql")
# SQLite numbers rows only in a column of the very type INTEGER.
ROW_ID = BigInteger().with_variant(Integer(), "sqlite")
TIMESTAMP = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def utc_now() -> datetime:
    """Now in UTC, without a zone, as the database keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """All tables' metadata."""


class Product(Base):
    """Something to buy. `slug` is its address and the name of its picture; prices are in cents of a euro."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    slug: Mapped[str] = mapped_column(EXACT_64, unique=True)
    name: Mapped[str] = mapped_column(String(100))
    summary: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(2000))
    price_cents: Mapped[int] = mapped_column(Integer)


class User(Base):
    """A customer. `email` is in lower case; `password_hash` is in werkzeug's format; another `session_number` ends all sessions."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    email: Mapped[str] = mapped_column(EXACT_254, unique=True)
    name: Mapped[str] = mapped_column(String(80))
    password_hash: Mapped[str] = mapped_column(String(255))
    session_number: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP, default=utc_now)


class LoginFailures(Base):
    """How often logins to an account failed since a moment; `account` is the SHA-256 of its address, whether or not it is a customer's."""

    __tablename__ = "login_failures"

    account: Mapped[str] = mapped_column(EXACT_64, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime] = mapped_column(TIMESTAMP)


class Order(Base):
    """One product ordered. `reference` is chosen by the client, so that a repeated request never orders twice."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("user_id", "reference", name="one_order_per_reference"),
        Index("orders_of_user", "user_id", "id"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    reference: Mapped[str] = mapped_column(EXACT_64)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int] = mapped_column(Integer)
    unit_price_cents: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP, default=utc_now)

    product: Mapped[Product] = relationship(lazy="joined")

    @property
    def total_cents(self) -> int:
        """What the order costs, in cents."""
        return self.unit_price_cents * self.quantity
