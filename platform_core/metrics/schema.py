"""Tables of a job's `metrics.sqlite`, and how it is opened. All but `chunk` and `vector` reads well in sqlite3.

key       one row a metric, with its latest value
tail      one row a step for the newest steps: JSON {name: value}; NaN and infinities are strings
bucket    step range, minimum, maximum, sum and last value of each sealed chunk
chunk     the values of a bucket: an item-size byte and the zlib-compressed, byte-shuffled numbers
curve     a view: the whole run, one line a bucket        recent   a view: the tail, one line a value
"""

import sqlite3
from pathlib import Path

from platform_core.errors import Problem

APPLICATION_ID = 0x4C61544D
VERSION = 1
TIME_KEY, TIME_NAME = 0, "_time"
PAGE_BYTES = 1024
"""Small pages: a short run is mostly begun pages, and a chunk fills two of these."""

TABLES = f"""
CREATE TABLE key(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last_step INT, last_value REAL);
INSERT INTO key(id, name) VALUES({TIME_KEY}, '{TIME_NAME}');
CREATE TABLE tail(step INTEGER PRIMARY KEY, time REAL NOT NULL, data TEXT NOT NULL);
CREATE TABLE bucket(key_id INT, step0 INT, step1 INT, n INT, bad INT, min REAL, max REAL, sum REAL, last REAL,
                    PRIMARY KEY(key_id, step0)) WITHOUT ROWID;
CREATE TABLE chunk(key_id INT, step0 INT, steps BLOB, vals BLOB, PRIMARY KEY(key_id, step0));
CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL, step INT, level TEXT, kind TEXT, text TEXT,
                   data TEXT);
CREATE TABLE sample(id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL, step INT, data TEXT);
CREATE INDEX sample_step ON sample(step);
CREATE TABLE layout(id INTEGER PRIMARY KEY, key TEXT NOT NULL, names TEXT NOT NULL, UNIQUE(key, names));
CREATE TABLE vector(layout_id INT, step INT, time REAL, vals BLOB, PRIMARY KEY(layout_id, step));
CREATE TABLE progress(id INTEGER PRIMARY KEY CHECK(id = 1), updated_at REAL, data TEXT);
CREATE VIEW curve AS SELECT name, step0, step1, n, min, sum/(n-bad) AS mean, max, last
    FROM bucket JOIN key ON id = key_id ORDER BY name, step0;
CREATE VIEW recent AS SELECT step, time, j.key AS name, j.value FROM tail, json_each(data) j;
"""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open or make the store of one job for its only writer; raises Problem when the file is something else."""
    try:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    try:
        if not _is_ours(connection, path):
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            _create(connection, path)
        # WAL with NORMAL: a kill loses nothing that was committed, a power cut at most the last commits.
        for setting in ("journal_mode=WAL", "synchronous=NORMAL", "journal_size_limit=8000000"):
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error as error:
        connection.close()
        raise unreadable(path, error) from error
    except Problem:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open one snapshot of a store, read-only; a missing or empty file is an empty run, any other a Problem."""
    connection: sqlite3.Connection | None = None
    try:
        if path.is_file() and path.stat().st_size:
            connection = _open_snapshot(path)
            if _is_ours(connection, path):
                return connection
            connection.close()
    except sqlite3.Error as error:
        if connection:
            connection.close()
        raise unreadable(path, error) from error
    except Problem:
        if connection:
            connection.close()
        raise
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(TABLES)
    return connection


def restore(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Write a file that was deleted while open anew from what its connection still holds; returns a new one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(partial),))
    for suffix in ("-wal", "-shm"):  # left over from the deleted file, they would be taken for parts of the new one
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    partial.replace(path)
    connection.close()
    return open_for_writing(path)


def unreadable(path: Path, error: Exception) -> Problem:
    """The sentence for a file that SQLite, or the decoder of its chunks, gives up on."""
    return Problem(
        "The metrics in {file} cannot be read ({reason}). If the file is damaged, move it away: "
        "the job then goes on with new metrics, its checkpoints are not touched.",
        file=str(path),
        reason=str(error) or type(error).__name__,
    )


def _open_snapshot(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # BEGIN alone takes no snapshot yet
        return connection
    except sqlite3.OperationalError:
        connection.close()
        wal = path.with_name(path.name + "-wal")
        # A file left in WAL mode needs a writable folder. Without rows in the -wal, the file alone is the whole run.
        if wal.exists() and wal.stat().st_size:
            raise
    connection = sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN")
    return connection


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the tables are there; False for a database without any; raises Problem for a foreign or newer one."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION_ID and version > VERSION:
        raise Problem(
            "{file} was written by a newer version of this program (format {version}, not {known}): update this one.",
            file=str(path),
            version=version,
            known=VERSION,
        )
    if application == APPLICATION_ID:
        return True
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise Problem("{file} is a database of another program, not a job's metrics: move it away.", file=str(path))
    return False


def _create(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if not _is_ours(connection, path):
        for statement in TABLES.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")
