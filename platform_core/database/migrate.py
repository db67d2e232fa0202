"""Bring a database to the tables of this version.

Made when empty, backed up and migrated when older, refused when newer.
"""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from platform_core.clock import now
from platform_core.database.engine import connect, reading
from platform_core.errors import Problem

VERSIONS = Path(__file__).parent / "migrations" / "versions"


def revisions() -> list[str]:
    """The known revisions, oldest first: the first four digits of each file in `migrations/versions`."""
    return sorted(p.name[:4] for p in VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))


def revision_of(engine: Engine) -> str | None:
    """The revision a database is at; None when it has no tables of ours."""
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def bring_up_to_date(engine: Engine, home: Path) -> None:
    """Create or migrate the tables; an older SQLite file is copied to `backups/` first.

    Raises Problem for a newer one.
    """
    head = revisions()[-1]
    if _checked(revision_of(engine)) == head:
        return
    with (home / ".migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _checked(revision_of(engine))
        if found == head:
            return
        if found is not None and engine.url.database and engine.url.get_backend_name() == "sqlite":
            back_up(Path(engine.url.database), home / "backups" / f"platform-{found}-{int(now())}.db")
        upgrade(engine.url.render_as_string(hide_password=False), head)


def upgrade(url: str, revision: str) -> None:
    """Run the migrations up to `revision`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    engine = connect(url, busy_seconds=60)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def back_up(source: Path, target: Path) -> Path:
    """A consistent copy of a SQLite database that may be in use."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    old, new = sqlite3.connect(source), sqlite3.connect(part)
    try:
        old.backup(new)
    finally:
        new.close()
        old.close()
    part.replace(target)
    return target


def _checked(found: str | None) -> str | None:
    if found is not None and found not in revisions():
        raise Problem(
            "This workspace was made by a newer version of lathe (its tables are at {found}, "
            "this version knows up to {head}): "
            "update lathe, or choose another workspace with PLATFORM_HOME.",
            found=found,
            head=revisions()[-1],
        )
    return found
