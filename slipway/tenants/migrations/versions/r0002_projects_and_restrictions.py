"""Projects and their limits, roles and service accounts, admin keys; expiry and restrictions of API keys.

Only adds: a gateway of the version before goes on reading, and keys that it makes are in the default project.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    project = op.create_table(
        "project",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("org", sa.String(63), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("archived_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["org"], ["organization.name"], name="project_org"),
    )
    op.create_index("ix_project_org", "project", ["org"])
    op.create_index(
        "project_default",
        "project",
        ["org"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "project_rate_limit",
        sa.Column("project", sa.String(40), primary_key=True),
        sa.Column("model", sa.String(255), primary_key=True),
        sa.Column("requests_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("tokens_per_minute", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["project.id"], name="project_rate_limit_project"),
    )
    op.add_column("user", sa.Column("role", sa.String(20), nullable=False, server_default="reader"))
    op.add_column("user", sa.Column("email", sa.String(320), nullable=True))
    _add_project_column("user")
    op.add_column("user", sa.Column("title", sa.String(255), nullable=True))
    op.add_column("user", sa.Column("removed_at", _INSTANT, nullable=True))
    _add_project_column("api_key")
    op.add_column("api_key", sa.Column("expires_at", _INSTANT, nullable=True))
    op.add_column("api_key", sa.Column("deployments", sa.Text(), nullable=True))
    op.add_column("api_key", sa.Column("tasks", sa.Text(), nullable=True))
    op.create_table(
        "admin_key",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("org", sa.String(63), nullable=False, index=True),
        sa.Column("user", sa.String(255), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("prefix", sa.String(32), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["org", "user"], ["user.org", "user.name"], name="admin_key_user"),
    )
    _make_default_projects(project)


def _add_project_column(table: str) -> None:
    """As a statement: Alembic would copy the table on SQLite, and another table refers to it."""
    op.execute(
        f'ALTER TABLE "{table}" ADD COLUMN project VARCHAR(40) '
        f"CONSTRAINT {table}_project REFERENCES project (id)"
    )


def _make_default_projects(project: sa.Table) -> None:
    organization = sa.table("organization", sa.column("name"), sa.column("created_at", _INSTANT))
    api_key = sa.table("api_key", sa.column("org"), sa.column("project"))
    connection = op.get_bind()
    for org, created_at in connection.execute(
        sa.select(organization.c.name, organization.c.created_at)
    ).all():
        id = f"proj_{secrets.token_hex(8)}"
        connection.execute(
            sa.insert(project).values(
                id=id, org=org, name="Default project", is_default=True, created_at=created_at
            )
        )
        connection.execute(sa.update(api_key).where(api_key.c.org == org).values(project=id))


def downgrade() -> None:
    raise NotImplementedError("Restore a backup from before: what this revision added would be lost.")
