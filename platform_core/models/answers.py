"""Ask small models for an answer from a page: a process beside the web server keeps them loaded, and ends when idle.

The process is `runners/programs/answer.py`; it listens on a socket in the workspace that only its owner can open.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import zlib
from pathlib import Path

from platform_core.clock import monotonic
from platform_core.errors import Problem, Text
from platform_core.root import ROOT

START_SECONDS = 60.0
ANSWER_SECONDS = 60.0


def answer(home: Path, models: dict[str, Path], prompt: str, max_new_tokens: int) -> dict[str, str]:
    """Greedy answers of each model to `prompt`; raises Problem when the answering process fails."""
    request = {"models": {k: str(v) for k, v in models.items()}, "prompt": prompt, "max_new_tokens": max_new_tokens}
    with _connected(home) as line:
        line.settimeout(ANSWER_SECONDS)
        try:
            line.sendall(json.dumps(request).encode() + b"\n")
            data = json.loads(line.makefile("rb").readline() or b"null")
        except (OSError, ValueError) as error:
            raise Problem("The models did not answer ({reason}): try again.", reason=str(error)) from error
    if not isinstance(data, dict):
        raise Problem("The models did not answer ({reason}): try again.", reason="the answering process ended")
    if "error" in data:
        raise Problem.of(Text.from_json(data["error"]))
    return {str(k): str(v) for k, v in data["answers"].items()}


def socket_path(home: Path) -> Path:
    """Where the answering process listens; short, because a socket's path may have 107 bytes only."""
    path = home / "cache" / "answer.sock"
    if len(os.fsencode(path)) < 100:
        return path
    return Path(f"/tmp/lathe-{os.getuid()}-{zlib.crc32(os.fsencode(home))}.sock")


def _connected(home: Path) -> socket.socket:
    deadline = monotonic() + START_SECONDS
    process: subprocess.Popen[bytes] | None = None
    with (home / "cache" / ".answer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        while True:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                line.connect(str(socket_path(home)))
                return line
            except OSError:
                line.close()
            if process is None:
                process = _start(home)
            try:
                code = process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                code = None
            if code is not None or monotonic() > deadline:
                process.kill()
                raise Problem("The process that answers did not start; {log} says why.", log=str(_log(home)))


def _start(home: Path) -> subprocess.Popen[bytes]:
    with _log(home).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "runners.programs.answer", str(socket_path(home))],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )


def _log(home: Path) -> Path:
    return home / "cache" / "answer.log"
