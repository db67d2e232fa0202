"""Training on preferences: what each kind reports, leaves and refuses."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from platform_core.algorithms.registry import algorithm
from platform_core.errors import Problem
from platform_core.metrics.reader import Event, Reader
from platform_core.models.kinds import is_reward_model
from tests.integration.engines.jobs import TRAINING, Job, ask_at, forked, make_job
from tests.integration.engines.test_bad_input import TEMPLATE
from tests.rows import write_rows

SPEC = {**TRAINING, "max_steps": 8, "batch_size": 4, "max_length": 32, "logging_steps": 2}


KINDS = {
    "dpo": ("dpo", {"save_every": 3}),
    "ipo": ("dpo", {"loss": "ipo"}),
    "cdpo an adapter": ("dpo", {"loss": "cdpo", "tuning": "lora"}),
    "simpo": ("dpo", {"loss": "simpo", "gradient_checkpointing": True}),
    "orpo": ("orpo", {"dtype": "bfloat16"}),
    "orpo an adapter": ("orpo", {"tuning": "lora", "adapter_output": "merged"}),
    "kto": ("kto", {}),
    "kto an adapter": ("kto", {"tuning": "lora"}),
    "reward model": ("reward_model", {}),
    "reward model an adapter": ("reward_model", {"tuning": "lora"}),
    "reward model merged": ("reward_model", {"tuning": "lora", "adapter_output": "merged"}),
    "dpo on 8 bits": ("dpo", {"tuning": "qlora", "quantization": "int8"}),
}


@pytest.mark.parametrize("case", KINDS)
def test_each_kind_trains_and_measures(case: str, tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    kind, more = KINDS[case]
    spec = SPEC | {"validation_share": 0.2, "eval_every": 4} | more
    job = make_job(tmp_path, kind, spec, model=taught, dataset=files[kind])
    assert forked(job) == 0, job.log
    with Reader(job.folder / "metrics.sqlite") as run:
        names = set(run.names())
        shown = set(algorithm(kind).metrics)
        assert shown <= names, shown - names
        assert run.points("eval_loss")[0].tolist() == [4, 8]
        assert all(np.isfinite(run.points(name)[1]).all() for name in names)
    assert json.loads((job.folder / "output/lathe.json").read_text())["kind"] == kind


def events(job: Job) -> dict[str, Event]:
    with Reader(job.folder / "metrics.sqlite") as run:
        return {event.kind: event for event in run.events()}


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    write_rows(path, rows)
    return path


def test_what_does_not_fit_is_counted_and_said(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    rows = [json.loads(line) for line in files["dpo"].read_text().splitlines()]
    long = {"prompt": "1+" * 40, "chosen": "1", "rejected": "2"}
    late = {"prompt": "1+1=", "chosen": "1" * 40 + "2", "rejected": "1" * 40 + "3"}
    cut = {"prompt": "1+1=", "chosen": "2" * 40, "rejected": "3"}
    data = written(tmp_path / "rows.jsonl", [*rows, long, long, late, cut])
    told = {}
    for kind in ("dpo", "reward_model"):
        job = make_job(tmp_path / kind, kind, SPEC | {"max_steps": 2}, model=taught, dataset=data)
        assert forked(job) == 0, job.log
        counts = {name: event.data["count"] for name, event in events(job).items() if name.endswith("_rows")}
        told[kind] = counts
    assert told == {
        "dpo": {"dropped_rows": 2, "alike_rows": 1, "cut_rows": 1},
        "reward_model": {"dropped_rows": 4},
    }
    nothing = make_job(
        tmp_path / "nothing", "dpo", SPEC, model=taught, dataset=written(tmp_path / "long.jsonl", [long])
    )
    assert forked(nothing) == 1
    assert "No row of long.jsonl fits into 32 tokens" in nothing.sentence


def test_one_label_and_unlike_numbers_of_labels(tmp_path: Path, taught: Path) -> None:
    rows = [{"prompt": f"{n}+1=", "completion": f"#{n + 1}", "label": n > 1} for n in range(8)]
    job = make_job(tmp_path / "job", "kto", SPEC, model=taught, dataset=written(tmp_path / "rows.jsonl", rows))
    assert forked(job) == 0, job.log
    assert "set the weight of good answers to 0.333" in events(job)["unbalanced_labels"].text
    alike = make_job(tmp_path / "alike", "kto", SPEC, model=taught, dataset=written(tmp_path / "a.jsonl", rows[2:]))
    assert forked(alike) == 1
    assert "All rows of a.jsonl have the same label" in alike.sentence


def test_chats_take_the_template_or_the_sentence(tmp_path: Path, taught: Path) -> None:
    ask, good, bad = (
        {"role": who, "content": said} for who, said in (("user", "2+3="), ("assistant", "5"), ("assistant", "6"))
    )
    data = written(tmp_path / "chats.jsonl", [{"prompt": [ask], "chosen": [good], "rejected": [bad]}] * 8)
    job = make_job(tmp_path / "none", "dpo", SPEC, model=taught, dataset=data)
    assert forked(job) == 1
    assert "no chat template" in job.sentence
    chatty = shutil.copytree(taught, tmp_path / "chatty")
    (chatty / "chat_template.jinja").write_text(TEMPLATE)
    job = make_job(tmp_path / "job", "dpo", SPEC, model=chatty, dataset=data)
    assert forked(job) == 0, job.log


def test_a_reward_model_scores_by_text_whoever_wrote_it(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    from transformers import AutoTokenizer

    from runners.engines.hf.reward_model import reads_like, score

    job = make_job(tmp_path / "job", "reward_model", SPEC, model=taught, dataset=files["reward_model"])
    assert forked(job) == 0, job.log
    folder = job.folder / "output"
    assert is_reward_model(folder)
    prompts, said = [f"{n}+{'1' * n}=" for n in range(1, 8)], [f"#{n}" * n for n in range(1, 8)]
    together = score(folder, prompts, said, 3)
    assert together == pytest.approx([score(folder, [p], [c])[0] for p, c in zip(prompts, said, strict=True)], abs=1e-5)
    assert np.std(together) > 1e-3
    own = AutoTokenizer.from_pretrained(folder)
    assert reads_like(folder, own)
    own.add_tokens(["more"])
    assert not reads_like(folder, own)
    with pytest.raises(Problem, match="is no reward model"):
        score(taught, prompts, said)
    for kind in ("sft", "dpo"):
        wrong = make_job(tmp_path / kind, kind, SPEC, model=folder, dataset=files[kind])
        assert forked(wrong) == 1
        assert "is a reward model: it scores answers and can't write any" in wrong.sentence


def test_preference_goes_on_from_an_adapter_and_holds_to_it(
    tmp_path: Path, files: dict[str, Path], taught: Path
) -> None:
    small = SPEC | {"tuning": "lora"}
    first = make_job(tmp_path / "sft", "sft", small, model=taught, dataset=files["sft"])
    assert forked(first) == 0, first.log
    found = []
    for name, first_step in (("straight", None), ("paused", ask_at(3, signal.SIGUSR1))):
        job = make_job(
            tmp_path / name, "dpo", small | {"logging_steps": 1}, model=first.folder / "output", dataset=files["dpo"]
        )
        assert forked(job, first_step) == 0, job.log
        if first_step:
            assert forked(job) == 0, job.log
        with Reader(job.folder / "metrics.sqlite") as run:
            margins = run.points("rewards/margins")[1].tolist()
        found.append((job.weights, margins))
    assert found[0] == found[1]
    assert abs(found[0][1][0]) < 1e-6  # at the first step the model is the adapter that it began with
    assert found[0][1][-1] != 0
    scored = make_job(
        tmp_path / "reward", "reward_model", SPEC, model=first.folder / "output", dataset=files["reward_model"]
    )
    assert forked(scored) == 0, scored.log
    refused = make_job(
        tmp_path / "no", "reward_model", small, model=first.folder / "output", dataset=files["reward_model"]
    )
    assert forked(refused) == 1
    assert "merge it first" in refused.sentence
