"""Make room for evaluation: saved states, checkpoints, operator actions, decisions.

This step is history: it does not import the tables of today.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forward only."""
    time = TIMESTAMP(precision=3) if op.get_bind().dialect.name == "postgresql" else sa.BigInteger()
    for column in (
        sa.Column("cooldownStartedAt", time),
        sa.Column("stateAt", time),
        sa.Column("stateSeq", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("stateActions", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("stateVersion", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("stateSetting", sa.Text()),
        sa.Column("state", sa.Text()),
        sa.Column("dueAt", time),
    ):
        op.add_column("instance_reputation", column)
    op.create_index("instance_reputation_dueAt_idx", "instance_reputation", ["dueAt"])
    op.create_table(
        "reputation_checkpoint",
        sa.Column("instanceId", sa.Text(), nullable=False),
        sa.Column("at", time, nullable=False),
        sa.Column("base", sa.Boolean(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("actions", sa.BigInteger(), nullable=False),
        sa.Column("setting", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("instanceId", "at", "base", name="reputation_checkpoint_pkey"),
    )
    op.create_table(
        "operator_action",
        sa.Column("instanceId", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", time, nullable=False),
        sa.PrimaryKeyConstraint("instanceId", "id", name="operator_action_pkey"),
    )
    op.create_index("operator_action_instanceId_at_idx", "operator_action", ["instanceId", "at"])
    op.create_table(
        "reputation_decision",
        sa.Column("instanceId", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("evaluatedAt", time, nullable=False),
        sa.Column("recordedAt", time, nullable=False),
        sa.Column("arrival", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ruleSet", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("actions", sa.BigInteger(), nullable=False),
        sa.Column("supersedes", sa.Text()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("instanceId", "id", name="reputation_decision_pkey"),
    )
    for columns in (["instanceId", "evaluatedAt", "arrival"], ["instanceId", "arrival"], ["id"]):
        op.create_index(f"reputation_decision_{'_'.join(columns)}_idx", "reputation_decision", columns)
