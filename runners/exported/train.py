"""Train as config.json beside this file says, with the engine in source/: the code that trained the job itself.

`python train.py` writes metrics.jsonl (one JSON object a reported step) and the model into output/, both beside this
file. Ctrl-C or SIGTERM saves a checkpoint; the same command goes on from it. The same versions (requirements.txt),
inputs, threads and processor give the same numbers bit for bit on a CPU.
"""

import hashlib
import importlib
import json
import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = json.loads((HERE / "config.json").read_text(encoding="utf-8"))
RUN = HERE / "run"
sys.path.insert(0, str(HERE / "source"))


def check_inputs():
    """End when an input is missing or not the one that the job was trained on."""
    for part in CONFIG["inputs"].values():
        for name, checksum in part["sha256"].items():
            path = HERE / part["path"]
            path = path / name if path.is_dir() else path
            if not path.is_file():
                sys.exit(f"{path} is missing: put it there, or set its path in config.json")
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                    sys.exit(f"{path} is not what the job was trained on: its sha256 differs")


def write_run():
    """What the engine reads: settings, and where the inputs are now."""
    run = {
        "id": CONFIG["job"],
        "kind": CONFIG["kind"],
        "engine": CONFIG["engine"],
        "attempt": 1,
        "spec": CONFIG["settings"],
        "paths": {field: str(HERE / part["path"]) for field, part in CONFIG["inputs"].items()},
        "threads": CONFIG["threads"],
    }
    (RUN / "attempts" / "1").mkdir(parents=True, exist_ok=True)
    (RUN / "attempts" / "1" / "run.json").write_text(json.dumps(run))


def write_metrics():
    """All reported values, a step a line."""
    reader = importlib.import_module("platform_core.metrics.reader").Reader
    steps = {}
    with reader(RUN / "metrics.sqlite") as stored:
        for name in stored.names():
            at, values = stored.points(name)
            for step, value in zip(at.tolist(), values.tolist(), strict=True):
                steps.setdefault(step, {})[name] = value
    lines = [json.dumps({"step": step, **steps[step]}) for step in sorted(steps)]
    (HERE / "metrics.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def main():
    """Check the inputs, train, put the model beside this file."""
    if (HERE / "output").exists():
        sys.exit(f"{HERE / 'output'} is there already: move it away, and the folder run/, to train again")
    check_inputs()
    write_run()
    program = importlib.import_module(f"runners.programs.{CONFIG['program']}")
    signal.signal(signal.SIGINT, lambda *_: os.kill(os.getpid(), signal.SIGTERM))  # what the engine listens for
    code = program.main(RUN)
    write_metrics()
    if code:
        sys.exit(code)
    if not (RUN / "output").is_dir():
        sys.exit("stopped with a checkpoint: the same command goes on from it")
    os.replace(RUN / "output", HERE / "output")


if __name__ == "__main__":
    main()
