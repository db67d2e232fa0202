"""kill -9 of a writer at random moments under a polling reader: no half chunk, no gap, and the run goes on."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

ROUNDS = 20

CHILD = """
import sys, time
from pathlib import Path
from platform_core.metrics.writer import Writer

writer, step = Writer(Path(sys.argv[1]), every=0.01), int(sys.argv[2])
assert writer.truncate(step - 1)
print("started", flush=True)
while True:
    writer.metrics(step, {"loss": step, "half": step / 2, **({"evaluation": step} if step % 100 == 0 else {})})
    if step % 50 == 0:
        writer.sample(step, answer=str(step))
        writer.progress(step=step)
        writer.vector("norm", step, ["a", "b"], [step, 1.0])
        time.sleep(0.0005)
    step += 1
"""


def assert_whole(path: Path) -> int:
    """Check one snapshot; returns how many steps it holds."""
    with Reader(path) as run:
        steps, values = run.points("loss")
        assert np.array_equal(steps, np.arange(len(steps)))
        assert np.array_equal(values, steps)
        assert np.array_equal(run.points("half")[1] * 2, steps)
        assert np.array_equal(run.times()[0], steps)
        assert np.array_equal(run.points("evaluation")[0], np.arange(0, len(steps), 100))
        assert run.latest().get("loss", (-1, -1.0)) == (len(steps) - 1, len(steps) - 1.0)
        curve = run.curve("loss", 100)
        if len(steps):
            assert (curve.minimum.min(), curve.maximum.max()) == (0.0, len(steps) - 1.0)
        expected = list(range(0, len(steps), 50))
        assert run.vectors("norm").steps.tolist() == expected
        assert [sample.step for sample in run.samples(limit=10**9)] == expected[::-1]
        return len(steps)


def test_kill_at_random_moments(tmp_path: Path) -> None:
    path, rng, start, polls = tmp_path / "metrics.sqlite", random.Random(1), 0, 0
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", CHILD, str(path), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            try:
                assert writer.stdout.readline() == "started\n"
                until = time.monotonic() + rng.uniform(0.02, 0.4)
                while time.monotonic() < until:
                    assert_whole(path)
                    polls += 1
                assert writer.poll() is None
            finally:
                writer.send_signal(signal.SIGKILL)
        length = assert_whole(path)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        start = max(0, length - rng.choice([0, 50, 1500]))
    assert polls > ROUNDS
    assert start > 1000
    with Writer(path) as again:
        assert again.truncate(999)
    assert assert_whole(path) == 1000
