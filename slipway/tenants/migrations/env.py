"""How Alembic runs: on the connection that `TenantsDatabase.migrate` hands over, in its transaction."""

from alembic import context

from slipway.tenants.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column; Alembic copies the table instead
)
with context.begin_transaction():
    context.run_migrations()
