"""What the queue places jobs by, how people sort them, alerts, hosts and the operator's options."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

JOBS = (
    sa.Column("position", sa.Float),
    sa.Column("queued_at", sa.Float),
    sa.Column("not_before", sa.Float),
    sa.Column("time_limit", sa.Float),
    sa.Column("retries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("retried", sa.Integer, nullable=False, server_default="0"),
    sa.Column("memory_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("gpus", sa.Integer, nullable=False, server_default="0"),
    sa.Column("gpu_memory_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("starred", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("archived_at", sa.Float),
    sa.Column("note", sa.Text),
    sa.Column("tags", sa.JSON),
)
ATTEMPTS = (sa.Column("devices", sa.JSON), sa.Column("cause", sa.String(40)))


def upgrade() -> None:
    for column in JOBS:
        op.add_column("jobs", column)
    for column in ATTEMPTS:
        op.add_column("attempts", column)
    op.execute("UPDATE jobs SET queued_at = since WHERE state = 'queued'")
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(12), sa.ForeignKey("jobs.id", ondelete="CASCADE")),
        sa.Column("attempt", sa.Integer),
        sa.Column("host", sa.String(200)),
        sa.Column("rule", sa.String(60), nullable=False),
        sa.Column("level", sa.String(12), nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("last_seen", sa.Float, nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("step", sa.BigInteger),
        sa.Column("what", sa.JSON, nullable=False),
        sa.Column("why", sa.JSON),
        sa.Column("fix", sa.JSON),
        sa.Column("evidence", sa.JSON),
        sa.Column("seen_at", sa.Float),
        sa.Column("sent_at", sa.Float),
    )
    op.create_index("alerts_by_job", "alerts", ["job_id", "rule"])
    op.create_index("alerts_by_time", "alerts", ["since"])
    op.create_table(
        "mutes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rule", sa.String(60), nullable=False),
        sa.Column("job_id", sa.String(12), sa.ForeignKey("jobs.id", ondelete="CASCADE")),
        sa.Column("until", sa.Float),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("since", sa.Float, nullable=False),
    )
    op.create_table(
        "hosts",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("drained_at", sa.Float),
        sa.Column("actor", sa.String(200)),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "reservations",
        sa.Column("gpu", sa.String(80), primary_key=True),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("since", sa.Float, nullable=False),
    )
    op.create_table(
        "options",
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("value", sa.JSON),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("since", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for table in ("options", "reservations", "hosts", "mutes", "alerts"):
        op.drop_table(table)
    for column in ATTEMPTS:
        op.drop_column("attempts", column.name)
    for column in JOBS:
        op.drop_column("jobs", column.name)
