"""An exported training runs where the platform is not there, and gives the same losses and weights to the bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from platform_core.errors import Problem
from platform_core.jobs import service
from platform_core.jobs.export import export
from platform_core.jobs.store import Job as Row
from platform_core.metrics.reader import Reader
from platform_core.workspace.service import Workspace, open_workspace
from tests.integration.engines.jobs import SIZES, TRAINING, Job, run_first

HOSTILE = 'a"""; import os; os.system("touch /tmp/owned") #\n../../x `rm` ünï'
PREFERENCE: dict[str, object] = {**TRAINING, "max_steps": 3, "batch_size": 8, "max_length": 32}
CASES: dict[str, dict[str, object]] = {
    "sft": {**TRAINING, "max_steps": 6, "batch_size": 8, "max_length": 32},
    "pretrain": {**SIZES, **TRAINING, "max_steps": 4, "batch_size": 4, "max_length": 32},
    "grpo": {
        **TRAINING,
        "max_steps": 3,
        "batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 5,
        "answer_extraction": "marker",
    },
    **dict.fromkeys(("dpo", "reward_model"), PREFERENCE),
    "distill": {**PREFERENCE, "max_new_tokens": 6, "answer_batch_size": 8, "keep_unfinished": True},
    "distill_reasoning": PREFERENCE,
    "distill_on_policy": {
        **TRAINING,
        "max_steps": 3,
        "batch_size": 4,
        "max_completion_length": 5,
        "student_share": 0.7,
    },
}


@pytest.fixture
def place(tmp_path: Path, files: dict[str, Path], tokenizer: Path, taught: Path) -> Workspace:
    workspace = open_workspace(tmp_path / "home")
    for kind in CASES:
        shutil.copyfile(files[kind], workspace.datasets / f"{kind}.jsonl")
    shutil.copytree(tokenizer, workspace.models / "tokens")
    shutil.copytree(taught, workspace.models / "taught")
    return workspace


def made(place: Workspace, kind: str, name: str = HOSTILE, **more: object) -> Row:
    inputs = {"tokenizer": "tokens"} if kind == "pretrain" else {"model": "taught"}
    inputs |= {"teacher": "taught"} if kind in ("distill", "distill_on_policy") else {}
    values = {**CASES[kind], **inputs, "dataset": f"{kind}.jsonl", **more}
    return service.create(place, kind, values, name=name)


def run_alone(folder: Path) -> subprocess.CompletedProcess[str]:
    """train.py in a Python that can't import the platform: from its own folder, isolated, no PYTHONPATH."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LATHE", "PLATFORM"))}
    alone = "import runpy, sys\ntry:\n runpy.run_path('train.py', run_name='__main__')\nfinally:\n"
    alone += (
        " ours = [m for n, m in sys.modules.items() if n.partition('.')[0] in ('platform_core', 'runners', 'app')]\n"
    )
    alone += " files = [m.__file__ for m in ours if getattr(m, '__file__', None)]\n"
    alone += " assert all(f.startswith(sys.argv[1]) for f in files), files\n"
    return subprocess.run(
        [sys.executable, "-I", "-c", alone, str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def told(exported: Path, name: str) -> list[tuple[int, float]]:
    """Step and value of a metric, as an exported training wrote it."""
    lines = [json.loads(line) for line in (exported / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line[name]) for line in lines if name in line]


def curve(job: Job, name: str) -> list[tuple[int, float]]:
    """Step and value of a metric, as a job reported it."""
    with Reader(job.folder / "metrics.sqlite") as run:
        steps, values = run.points(name)
    return list(zip(steps.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize(
    ("kind", "with_data"),
    [
        ("sft", False),
        ("grpo", True),
        *(
            pytest.param(kind, with_data, marks=pytest.mark.thorough)
            for kind, with_data in (
                ("pretrain", True),
                ("reward_model", True),
                ("dpo", False),
                ("distill", True),
                ("distill_on_policy", True),
                ("distill_reasoning", False),
            )
        ),
    ],
)
def test_it_gives_the_same_losses(kind: str, with_data: bool, place: Workspace, tmp_path: Path) -> None:
    row = made(place, kind)
    job = run_first(place, row)
    exported = export(place, row.id, with_data=with_data)
    folder = tmp_path / "elsewhere"
    shutil.copytree(exported.folder, folder)
    if with_data:
        shutil.rmtree(place.models)
        shutil.rmtree(place.datasets)
    done = run_alone(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert told(folder, "loss") == curve(job, "loss")
    assert (folder / "output" / "model.safetensors").read_bytes() == job.weights
    assert not Path("/tmp/owned").exists()


def test_what_people_wrote_is_in_the_settings_alone(place: Workspace) -> None:
    row = made(place, "sft")
    one, two = export(place, row.id), export(place, row.id, archive=True)
    assert one.folder.parent == two.folder.parent == place.home / "exports"
    assert one.folder.name.startswith("a-import-os-os-system")
    assert one.folder != two.folder
    programs = {(e.folder / "train.py").read_bytes() for e in (one, two)}
    assert len(programs) == 1
    assert b"owned" not in programs.pop()
    assert json.loads((one.folder / "config.json").read_text())["name"] == row.name
    assert two.archive is not None
    shutil.unpack_archive(two.archive, place.home / "unpacked")
    assert (place.home / "unpacked" / two.folder.name / "train.py").is_file()
    assert "torch==" in (one.folder / "requirements.txt").read_text()


def test_nothing_is_overwritten_and_other_kinds_are_refused(place: Workspace, tmp_path: Path) -> None:
    row = made(place, "sft")
    (tmp_path / "mine").mkdir()
    with pytest.raises(Problem, match="there already"):
        export(place, row.id, tmp_path / "mine")
    tokens = service.create(place, "tokenizer", {"dataset": "pretrain.jsonl", "vocab_size": 300}, name="tokens")
    with pytest.raises(Problem, match="can't be exported"):
        export(place, tokens.id)


def test_a_dataset_in_other_columns_is_read_as_the_job_read_it(place: Workspace) -> None:
    rows = [{"instruction": f"{n}+1=", "output": f"{n + 1}"} for n in range(40)]
    (place.datasets / "alpaca.json").write_text(json.dumps(rows))
    row = service.create(place, "sft", {**CASES["sft"], "model": "taught", "dataset": "alpaca.json"}, name="other")
    folder = export(place, row.id).folder
    assert json.loads((folder / "config.json").read_text())["inputs"]["dataset"]["path"] == str(
        place.datasets / "alpaca.json"
    )
    done = run_alone(folder)
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_adapter_goes_along_with_its_base(place: Workspace, tmp_path: Path) -> None:
    first = run_first(place, made(place, "sft", tuning="lora", max_steps=2))
    shutil.copytree(first.folder / "output", place.models / "adapter")
    lineage = json.loads((place.models / "adapter" / "lathe.json").read_text())
    (place.models / "adapter" / "lathe.json").write_text(json.dumps(lineage | {"base": "../taught"}))
    row = made(place, "sft", model="adapter", tuning="lora")
    job = run_first(place, row)
    folder = tmp_path / "elsewhere"
    shutil.copytree(export(place, row.id, with_data=True).folder, folder)
    shutil.rmtree(place.models)
    config = json.loads((folder / "config.json").read_text())
    assert config["inputs"]["model"]["path"] == "model"
    done = run_alone(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "output" / "adapter_model.safetensors").read_bytes() == job.weights


def test_an_input_that_changed_is_named(place: Workspace) -> None:
    row = made(place, "sft")
    folder = export(place, row.id).folder
    with (place.datasets / "sft.jsonl").open("a") as file:
        file.write('{"prompt": "1+1=", "completion": "3"}\n')
    done = run_alone(folder)
    assert done.returncode == 1
    assert "sft.jsonl is not what the job was trained on" in done.stderr
