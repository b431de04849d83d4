"""Run by Alembic for each upgrade, on the connection that shop.migrator hands over (which holds the lock)."""

from typing import cast

from alembic import context
from shop.model import Base
from sqlalchemy import Connection

connection = cast("Connection", context.config.attributes["connection"])
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
# MySQL commits each change of the schema by itself; the rows that migrations write, and the revision reached, are committed here.
connection.commit()
