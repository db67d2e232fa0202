"""A child process that is asked line by line in JSON, with a limit of wall time and of the answer's length."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

PYTHON = sys.executable
LONGEST_ANSWER = 4 << 20
T = TypeVar("T")
R = TypeVar("R")


class WorkerDied(Exception):
    """The child ended before it answered; `code` is its exit code, negative for a signal."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Worker:
    """One child; after an error it is gone, and the next call starts another."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        user: int | None = None,
        first: Mapping[str, Any] | None = None,
        start_seconds: float = 30.0,
    ) -> None:
        self.command, self.environment = list(command), dict(environment)
        self.user = user
        self.first, self.start_seconds = first, start_seconds
        self.started = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the child if there is none, and wait until it is ready. Raises WorkerDied, TimeoutError, ValueError."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            cwd="/",
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            start_new_session=True,
        )
        self.started += 1
        os.set_blocking(self._process.stdin.fileno(), False)  # type: ignore[union-attr]
        try:
            self.ready(self._exchange(self.first, self.start_seconds))
        except BaseException:
            self.kill()
            raise

    def ready(self, answer: dict[str, Any]) -> None:
        """Take the first answer of a fresh child."""

    def call(self, message: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Ask; the answer. Raises TimeoutError (the child is killed), WorkerDied, or ValueError for a bad answer."""
        self.start()
        return self._exchange(message, seconds)

    def _exchange(self, message: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
        try:
            return self._ask(message, seconds)
        except BaseException:
            self.kill()
            raise

    def _ask(self, message: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        rest = memoryview(b"" if message is None else json.dumps(message).encode() + b"\n")
        out, end, said = process.stdout.fileno(), time.monotonic() + seconds, bytearray()
        while not said.endswith(b"\n"):
            writing = [process.stdin] if rest else []
            ready, writable, _ = select.select([out], writing, [], max(0.0, end - time.monotonic()))
            if not ready and not writable:
                raise TimeoutError
            if writable:
                with suppress(BrokenPipeError):
                    rest = rest[os.write(process.stdin.fileno(), rest[:65536]) :]
            if ready:
                block = os.read(out, 65536)
                if not block:
                    raise WorkerDied(self._exit_code())
                said += block
                if len(said) > LONGEST_ANSWER:
                    raise ValueError("the answer is too long")
        answer = json.loads(said)
        if not isinstance(answer, dict):
            raise ValueError("the answer is no object")
        return answer

    def _exit_code(self) -> int | None:
        assert self._process is not None
        try:
            return self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End the child and whatever is in its session's group."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()


class WorkerPool:
    """Warm workers that share what is to be done."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = list(workers)
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self.workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(len(self.workers), "worker")

    def start(self) -> None:
        """Start all that are not there yet. Raises what `Worker.start` does."""
        list(self._threads.map(lambda worker: worker.start(), self.workers))

    def map(self, do: Callable[[Worker, T], R], items: Sequence[T]) -> list[R]:
        """`do` with an idle worker for each item; results in order."""

        def one(item: T) -> R:
            worker = self._idle.get()
            try:
                return do(worker, item)
            finally:
                self._idle.put(worker)

        return list(self._threads.map(one, items))

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self.workers:
            worker.kill()


def clean_environment() -> dict[str, str]:
    """What a child may know of our environment: nothing but where programs are."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
