"""Full disk, locked, damaged, foreign and deleted files, and readers beside the writer."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, KeysView
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from platform_core.errors import Problem
from platform_core.metrics.export import copy
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

NEVER = 1e6

HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


def count(path: Path, name: str) -> int:
    with Reader(path) as run:
        return len(run.points(name)[0])


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "locked\n"
    try:
        yield
    finally:
        other.communicate("\n", timeout=20)


def test_a_full_disk_keeps_all_points_until_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        writer.metrics(0, {"loss": 1.0})
        assert writer.flush()
        pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
        writer._connection.execute(f"PRAGMA max_page_count={pages + 2}")
        for step in range(1, 3000):
            writer.metrics(step, {f"loss {number}": step / 7 for number in range(5)})
            writer.sample(step, prompt="p" * 50)
            if step % 300 == 0:
                assert not writer.flush()
        writer.event("late", "still here")
        assert not writer.truncate(2500)
        assert (writer.errors, "full" in writer.last_error) == (10, True)
        with Reader(path) as run:
            assert (run.names(), run.samples(), run.events()) == (["loss"], [], [])
        writer._connection.execute("PRAGMA max_page_count=1000000")
        writer.metrics(2600, {"loss 3": 1.0})
        assert writer.flush()
        with Reader(path) as run:
            assert run.points("loss 3")[0].tolist() == [*range(1, 2501), 2600]
            assert len(run.samples(limit=9999)) == 2500
            assert [event.kind for event in run.events()] == ["late"]


def test_a_cut_that_failed_is_made_up_for_before_later_points(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        writer._connection.execute("PRAGMA busy_timeout=1")
        for step in range(1000):
            writer.metrics(step, {"loss": 1.0, "old": 1.0})
        assert writer.flush()
        with locked_by_another_process(path):
            assert not writer.truncate(599)
            for step in range(600, 700):
                writer.metrics(step, {"loss": 2.0})
            assert not writer.truncate(649)
            writer.metrics(650, {"loss": 3.0})
            assert not writer.flush()
            assert count(path, "loss") == 1000
        assert writer.flush()
        with Reader(path) as run:
            assert run.points("loss")[1].tolist() == [1.0] * 600 + [2.0] * 50 + [3.0]
            assert run.points("old")[0].tolist() == list(range(600))
            assert run.latest()["old"] == (599, 1.0)


@pytest.mark.slow
def test_another_process_holding_the_lock_slows_no_call_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        writer.flush()
        with locked_by_another_process(path):
            flushed: list[bool] = []
            waiting = threading.Thread(target=lambda: flushed.append(writer.flush()))
            writer.metrics(0, {"loss": 1.0})
            waiting.start()
            began = time.thread_time()
            for step in range(1, 300):
                writer.metrics(step, {"loss": 1.0})
            assert time.thread_time() - began < 0.1
            assert count(path, "loss") == 0
            waiting.join(2.0)
            assert waiting.is_alive()
        waiting.join(20)
        assert flushed == [True]
        assert writer.flush()
        assert (count(path, "loss"), writer.errors) == (300, 0)


def test_nothing_is_lost_between_the_training_loop_and_the_thread(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=0.0001) as writer:
        for step in range(30_000):
            writer.metrics(step, {"loss": float(step)})
    with Reader(path) as run:
        steps, values = run.points("loss")
    assert steps.tolist() == list(range(30_000))
    assert values.tolist() == steps.tolist()


def test_a_flush_in_the_middle_of_a_call_loses_nothing(tmp_path: Path) -> None:
    class FlushesWhenRead(dict[str, float]):
        def keys(self) -> KeysView[str]:
            thread = threading.Thread(target=writer.flush)
            thread.start()
            thread.join(20)
            return super().keys()

    with Writer(tmp_path / "metrics.sqlite", every=NEVER) as writer:
        writer.metrics(1, {"loss": 1.0})
        writer.metrics(2, MappingProxyType(FlushesWhenRead(loss=2.0)))
        writer.flush()
        assert count(tmp_path / "metrics.sqlite", "loss") == 2


def test_a_reader_sees_one_moment_while_rows_are_sealed_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in range(500):
            writer.metrics(step, {"loss": float(step)})
        writer.flush()
        with Reader(path) as run:
            for step in range(500, 2000):
                writer.metrics(step, {"loss": float(step)})
            assert writer.flush()
            assert run.points("loss")[0].tolist() == list(range(500))
            assert run.latest()["loss"] == (499, 499.0)
        assert count(path, "loss") == 2000


def test_closed_it_is_one_plain_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    writer = Writer(path, every=NEVER)
    for step in range(1500):
        writer.metrics(step, {f"loss {number}": float(step % 7) for number in range(30)})
        if step % 50 == 0:
            writer.flush()
    assert count(path, "loss 3") == 1451
    assert writer.close()
    assert writer.close()
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.sqlite"]
    copy(path, tmp_path / "copy.sqlite")
    assert path.stat().st_size < 1.3 * (tmp_path / "copy.sqlite").stat().st_size
    assert writer.flush()
    writer.metrics(1, {"loss": 0.0})
    assert not writer.flush()


@pytest.mark.parametrize("closed", [True, False])
def test_a_finished_run_in_a_read_only_folder_is_read(tmp_path: Path, closed: bool) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    path = folder / "metrics.sqlite"
    writer = Writer(path, every=NEVER)
    writer.metrics(1, {"loss": 2.0})
    writer.flush()
    if closed:
        writer.close()
    else:  # as a killed one whose rows had all reached the file
        writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        killed = folder / "killed.sqlite"
        killed.write_bytes(path.read_bytes())
        writer.close()
        path = killed
    folder.chmod(0o555)
    path.chmod(0o444)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o055)
    script = (
        "import os, sys; from pathlib import Path; from platform_core.metrics.reader import Reader\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "assert not os.access(Path(sys.argv[1]).parent, os.W_OK)\n"
        "with Reader(Path(sys.argv[1])) as run: print(run.latest())"
    )
    try:
        run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o755)
    assert run.stdout == "{'loss': (1, 2.0)}\n", run.stderr


@pytest.mark.parametrize("content", [None, b""])
def test_a_missing_or_empty_file_is_an_empty_run(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a #1?mode=rw%20.sqlite"
    if content is not None:
        path.write_bytes(content)
    with Reader(path) as run:
        assert (run.names(), run.latest(), run.progress(), run.events(), run.samples()) == ([], {}, {}, [], [])
        assert len(run.curve("loss").steps) == 0
        assert run.curve("loss").exact
        assert run.sparkline("loss") == []
        assert run.vectors("norm").names == []
    assert path.exists() == (content is not None)
    with Writer(path, every=NEVER) as writer:
        writer.metrics(1, {"loss": 1.0})
    assert count(path, "loss") == 1


def make_foreign(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("step,loss\n1,2\n" * 1000)
    elif kind == "other database":
        sqlite3.connect(path).execute("CREATE TABLE runs(id)")
    elif kind == "newer":
        Writer(path, every=NEVER).close()
        sqlite3.connect(path).execute("PRAGMA user_version=99")
    elif kind == "folder":
        path.mkdir()


@pytest.mark.parametrize("kind", ["text", "other database", "newer"])
def test_a_foreign_file_is_named_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "metrics.sqlite"
    make_foreign(path, kind)
    before = path.read_bytes()
    with pytest.raises(Problem, match=r"metrics\.sqlite"):
        Reader(path)
    with pytest.raises(Problem, match=r"metrics\.sqlite"):
        Writer(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    make_foreign(tmp_path / "metrics.sqlite", "folder")
    with pytest.raises(Problem, match=r"metrics\.sqlite"):
        Writer(tmp_path / "metrics.sqlite")


@pytest.mark.parametrize("damage", ["UPDATE chunk SET vals=x'0400'", "UPDATE chunk SET steps=x'', vals=x''", "cut"])
def test_damage_is_told_in_a_sentence_that_names_the_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in range(3000):
            writer.metrics(step, {"loss": step / 7})
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:9000])
    else:
        with sqlite3.connect(path) as connection:
            connection.execute(damage)

    def read() -> None:
        with Reader(path) as run:
            run.points("loss")

    with pytest.raises(Problem, match=r"metrics\.sqlite cannot be read") as caught:
        read()
    assert "move it away" in str(caught.value)


def test_deleted_while_open_it_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sqlite"
    with Writer(path, every=NEVER) as writer:
        for step in range(1000):
            writer.metrics(step, {"loss": float(step)})
        writer.flush()
        path.unlink()
        writer.metrics(1000, {"loss": 1000.0})
        assert writer.flush()
        assert count(path, "loss") == 1001
        for step in range(1001, 1600):
            writer.metrics(step, {"loss": float(step)})
    assert count(path, "loss") == 1600
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.sqlite"]


def test_a_deleted_folder_stays_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    writer = Writer(folder / "metrics.sqlite", every=NEVER)
    for file in folder.iterdir():
        os.unlink(file)
    folder.rmdir()
    writer.metrics(1, {"loss": 1.0})
    writer.flush()
    writer.close()
    assert not folder.exists()
