"""Opening workspaces: new, current, older, newer, locked, damaged."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from platform_core.database import migrate
from platform_core.database.engine import connect, reading, writing
from platform_core.database.tables import metadata
from platform_core.errors import Problem
from platform_core.jobs import store
from platform_core.workspace.service import open_workspace


def test_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    with workspace.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_workspace_of_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    open_workspace(tmp_path)
    with sqlite3.connect(tmp_path / "platform.db") as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Problem, match=r"made by a newer version.*PLATFORM_HOME"):
        migrate.bring_up_to_date(connect(f"sqlite:///{tmp_path / 'platform.db'}", 1), tmp_path)


def test_an_older_workspace_is_backed_up_then_migrated(tmp_path: Path) -> None:
    migrate.upgrade(f"sqlite:///{tmp_path / 'platform.db'}", "0001")
    row = {
        "id": "abcdefgh2345", "name": "old", "kind": "tokenizer", "engine": "hf", "spec": "{}", "spec_hash": "x",
        "state": "queued", "since": 5.0, "owner": "ann", "priority": 0, "cpu_slots": 1, "attempt": 0, "created_at": 4.0,
    }  # fmt: skip
    with sqlite3.connect(tmp_path / "platform.db") as db:
        db.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    workspace = open_workspace(tmp_path)
    assert migrate.revision_of(workspace.engine) == migrate.revisions()[-1]
    (copy,) = (tmp_path / "backups").glob("platform-0001-*.db")
    with sqlite3.connect(copy) as db:
        assert db.execute("SELECT id FROM jobs").fetchall() == [("abcdefgh2345",)]
    with workspace.engine.connect() as connection:
        job = store.get_job(connection, "abcdefgh2345")
    assert job is not None
    assert (job.name, job.queued_at, job.retries, job.gpus, job.starred, job.tags) == ("old", 5.0, 0, 0, False, [])


def test_a_lock_of_another_process_is_a_sentence_and_changes_nothing(tmp_path: Path) -> None:
    open_workspace(tmp_path)
    engine = connect(f"sqlite:///{tmp_path / 'platform.db'}", busy_seconds=0.05)
    other = sqlite3.connect(tmp_path / "platform.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Problem, match="Another process holds"), writing(engine):
        pass
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar() == 0
    other.execute("ROLLBACK")
    with writing(engine):
        pass


def test_a_damaged_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "platform.db").write_bytes(b"this is no database" * 400)
    with pytest.raises(Problem, match="damaged"):
        open_workspace(tmp_path)


def test_a_home_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(Problem, match="PLATFORM_HOME"):
        open_workspace(tmp_path / "home")
