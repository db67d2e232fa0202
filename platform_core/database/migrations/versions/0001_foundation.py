"""Jobs, their dependencies, attempts and changes of state."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(12), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("engine", sa.String(40), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("spec_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("reason", sa.JSON),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("group_name", sa.String(200)),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("cpu_slots", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sa.Column("deleted_at", sa.Float),
        sa.Column("progress", sa.JSON),
        sa.Column("latest", sa.JSON),
        sa.Column("sparkline", sa.JSON),
        sa.Column("result", sa.JSON),
    )
    op.create_index("jobs_by_state", "jobs", ["state", "priority", "created_at"])
    op.create_index("jobs_by_time", "jobs", ["created_at"])
    op.create_table(
        "dependencies",
        sa.Column("job_id", sa.String(12), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("needs_id", sa.String(12), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.String(12), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("interpreter", sa.Text, nullable=False),
        sa.Column("command", sa.JSON, nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("launched_at", sa.Float, nullable=False),
        sa.Column("pid", sa.Integer),
        sa.Column("pid_started", sa.Integer),
        sa.Column("boot_id", sa.String(64)),
        sa.Column("ended_at", sa.Float),
        sa.Column("exit_code", sa.Integer),
        sa.Column("signal", sa.Integer),
        sa.Column("outcome", sa.String(12)),
    )
    op.create_table(
        "transitions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(12), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("from_state", sa.String(12)),
        sa.Column("to_state", sa.String(12), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("reason", sa.JSON),
    )
    op.create_index("ix_transitions_job_id", "transitions", ["job_id"])


def downgrade() -> None:
    for table in ("transitions", "attempts", "dependencies", "jobs"):
        op.drop_table(table)
