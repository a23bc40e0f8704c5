"""When a key was last used.

Only adds: a gateway of the version before goes on reading, and notes nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("api_key", "admin_key"):
        op.add_column(table, sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("Restore a backup from before: what this revision added would be lost.")
