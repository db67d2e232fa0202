"""The tables of `platform.db`: small rows only. Time series live in each job's own file."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
)

metadata = MetaData()
Json = JSON(none_as_null=True)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("engine", String(40), nullable=False),
    Column("spec", Json, nullable=False),
    Column("spec_hash", String(64), nullable=False),
    Column("state", String(12), nullable=False),
    Column("since", Float, nullable=False),
    Column("reason", Json),
    Column("owner", String(200), nullable=False),
    Column("group_name", String(200)),
    Column("priority", Integer, nullable=False),
    Column("cpu_slots", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("deleted_at", Float),
    Column("progress", Json),
    Column("latest", Json),
    Column("sparkline", Json),
    Column("result", Json),
    Column("position", Float),
    Column("queued_at", Float),
    Column("not_before", Float),
    Column("time_limit", Float),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("retried", Integer, nullable=False, server_default="0"),
    Column("memory_bytes", BigInteger, nullable=False, server_default="0"),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("gpu_memory_bytes", BigInteger, nullable=False, server_default="0"),
    Column("gpu_indexes", Json),
    Column("starred", Boolean, nullable=False, server_default=false()),
    Column("archived_at", Float),
    Column("note", Text),
    Column("tags", Json),
    Index("jobs_by_state", "state", "priority", "created_at"),
    Index("jobs_by_time", "created_at"),
)

dependencies = Table(
    "dependencies",
    metadata,
    Column("job_id", String(12), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("needs_id", String(12), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String(12), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("host", String(200), nullable=False),
    Column("interpreter", Text, nullable=False),
    Column("command", Json, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("launched_at", Float, nullable=False),
    Column("pid", Integer),
    Column("pid_started", Integer),
    Column("boot_id", String(64)),
    Column("ended_at", Float),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("outcome", String(12)),
    Column("devices", Json),
    Column("cause", String(40)),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(12), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("time", Float, nullable=False),
    Column("from_state", String(12)),
    Column("to_state", String(12), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", Json),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(12), ForeignKey("jobs.id", ondelete="CASCADE")),
    Column("attempt", Integer),
    Column("host", String(200)),
    Column("rule", String(60), nullable=False),
    Column("level", String(12), nullable=False),
    Column("since", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
    Column("ended_at", Float),
    Column("step", BigInteger),
    Column("what", Json, nullable=False),
    Column("why", Json),
    Column("fix", Json),
    Column("evidence", Json),
    Column("seen_at", Float),
    Column("sent_at", Float),
    Index("alerts_by_job", "job_id", "rule"),
    Index("alerts_by_time", "since"),
)

mutes = Table(
    "mutes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("rule", String(60), nullable=False),
    Column("job_id", String(12), ForeignKey("jobs.id", ondelete="CASCADE")),
    Column("until", Float),
    Column("actor", String(200), nullable=False),
    Column("since", Float, nullable=False),
)

hosts = Table(
    "hosts",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("drained_at", Float),
    Column("actor", String(200)),
    Column("reason", Text),
)

reservations = Table(
    "reservations",
    metadata,
    Column("gpu", String(80), primary_key=True),
    Column("host", String(200), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", Text),
    Column("since", Float, nullable=False),
)

options = Table(
    "options",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("value", Json),
    Column("actor", String(200), nullable=False),
    Column("since", Float, nullable=False),
)
