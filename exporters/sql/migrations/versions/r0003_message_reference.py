"""Make room for what stands for a message whose id was forgotten.

This step is history: it does not import the tables of today.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Forward only."""
    op.add_column("reputation_signal", sa.Column("messageRef", sa.Text()))
    # Partial: rows that nobody asked to forget, almost all, are not in it and cost nothing.
    there = sa.text('"messageRef" IS NOT NULL')
    op.create_index(
        "reputation_signal_instanceId_messageRef_idx",
        "reputation_signal",
        ["instanceId", "messageRef"],
        postgresql_where=there,
        sqlite_where=there,
    )
