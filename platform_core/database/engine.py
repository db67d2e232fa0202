"""Open the platform's database: SQLite (WAL) by default, PostgreSQL by URL, with the same code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from platform_core.errors import Problem


def connect(url: str, busy_seconds: float) -> Engine:
    """An engine whose transactions wait `busy_seconds` for a lock that another process holds."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": busy_seconds, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(raw: Any, record: Any) -> None:
        raw.isolation_level = None  # transactions begin by our own BEGIN, not by the driver's guess
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE: a transaction that reads, then writes, must not lose the race between the two
        reading = connection.get_execution_options().get("reading")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may write: all of it happens, or nothing."""
    with _people_words(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent look at the rows; never waits for a writer."""
    with _people_words(), engine.connect() as raw:
        connection = raw.execution_options(reading=True)
        with connection.begin():
            yield connection


@contextmanager
def _people_words() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise explain(error) from error


def explain(error: DBAPIError) -> Problem:
    """The sentence for a database that does not answer."""
    reason = str(error.orig)
    if "locked" in reason or "busy" in reason:
        return Problem("Another process holds the workspace's database: nothing was changed; try again in a moment.")
    if "disk is full" in reason:
        return Problem(
            "The disk is full, so that the workspace's database can't be written: free some space; nothing was changed."
        )
    if "readonly" in reason:
        return Problem("The workspace's database is read-only: check the owner and permissions of its folder.")
    if "malformed" in reason or "not a database" in reason:
        return Problem("The workspace's database is damaged: put back a copy from the workspace's `backups` folder.")
    if isinstance(error, OperationalError):
        return Problem("The workspace's database does not answer: {reason}.", reason=reason)
    return Problem("The workspace's database refused a change: {reason}.", reason=reason)


def is_of_database(error: BaseException) -> bool:
    """Whether the database is locked, full or gone, for all jobs alike; what it refuses of one job is not meant."""
    return any(isinstance(e, OperationalError | sqlite3.OperationalError) for e in (error, error.__cause__))
