"""A student learns what its teacher can, and SFT what its rows say, judged on prompts that were never trained on.

The task is to write the letter that belongs to the last digit of a number. A loss of the wrong sign, or one that is
detached from the weights, fails here: the start model is right on none of the prompts, a guess on one in ten.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from runners.engines.hf.generate import generate
from runners.engines.hf.model import load_model, load_tokenizer
from tests.integration.engines.jobs import TRAINING, forked, make_job
from tests.rows import write_rows

SPEC = {**TRAINING, "optimizer": "muon", "batch_size": 32}
SUPERVISED = {**SPEC, "max_length": 16, "max_steps": 120}
LETTERS, OTHERS = "abcdefghij", "bcdefghija"


def numbers() -> list[str]:
    found = [str(n) for n in range(100, 1000)]
    random.Random(0).shuffle(found)
    return found


TRAINED, HELD_OUT = numbers()[:700], numbers()[700:800]


def rows(folder: Path, letters: str | None = LETTERS) -> Path:
    """The trained prompts with their answers, or alone."""
    answers = ({"completion": letters[int(n[-1])]} if letters else {} for n in TRAINED)
    return write_rows(folder / "rows.jsonl", ({"prompt": n, **a} for n, a in zip(TRAINED, answers, strict=True)))


def exact_match(folder: Path, letters: str = LETTERS) -> float:
    """Share of held-out prompts that a model answers right, whatever it thinks before."""
    tokenizer = load_tokenizer(folder)
    batches = generate(
        load_model(folder, tokenizer), tokenizer, HELD_OUT, max_new_tokens=4, temperature=None, batch_size=100
    )
    said = [(HELD_OUT[at], text) for places, texts in batches for at, text in zip(places, texts, strict=True)]
    return sum(text.rpartition("]")[2] == letters[int(number[-1])] for number, text in said) / len(said)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, start: Path) -> Path:
    """What SFT makes of the start model."""
    folder = tmp_path_factory.mktemp("teacher")
    job = make_job(folder / "job", "sft", SUPERVISED, model=start, dataset=rows(folder))
    assert forked(job) == 0, job.log
    return job.folder / "output"


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory, start: Path) -> Path:
    """A model that has begun to learn: it knows that an answer is one letter."""
    folder = tmp_path_factory.mktemp("student")
    job = make_job(folder / "job", "sft", SUPERVISED | {"max_steps": 40}, model=start, dataset=rows(folder))
    assert forked(job) == 0, job.log
    return job.folder / "output"


@pytest.mark.slow
def test_sft_learns_its_rows(teacher: Path, start: Path) -> None:
    before, after = exact_match(start), exact_match(teacher)
    print(f"sft: exact match {before:.2f} to {after:.2f}")
    assert before < 0.2
    assert after > 0.9


@pytest.mark.slow
def test_an_adapter_learns_another_task(tmp_path: Path, teacher: Path) -> None:
    spec = SUPERVISED | {"max_steps": 100, "tuning": "lora", "packing": "best_fit"}
    job = make_job(tmp_path / "job", "sft", spec, model=teacher, dataset=rows(tmp_path, OTHERS))
    assert forked(job) == 0, job.log
    before, after = exact_match(teacher, OTHERS), exact_match(job.folder / "output", OTHERS)
    print(f"sft with LoRA, packed: exact match {before:.2f} to {after:.2f}")
    assert before < 0.2
    assert after > 0.9


@pytest.mark.slow
def test_the_teachers_answers_close_the_gap(tmp_path: Path, start: Path, teacher: Path) -> None:
    spec = SUPERVISED | {"max_new_tokens": 4, "answer_batch_size": 100}
    job = make_job(tmp_path / "job", "distill", spec, model=start, teacher=teacher, dataset=rows(tmp_path, None))
    assert forked(job) == 0, job.log
    closes_half("distill", start, teacher, job.folder / "output")


@pytest.mark.slow
def test_the_teachers_judgement_of_the_students_answers_closes_the_gap(
    tmp_path: Path, student: Path, teacher: Path
) -> None:
    spec = SPEC | {"max_steps": 70, "max_completion_length": 3, "beta": 0.5}
    paths = {"model": student, "teacher": teacher, "dataset": rows(tmp_path, None)}
    job = make_job(tmp_path / "job", "distill_on_policy", spec, **paths)
    assert forked(job) == 0, job.log
    closes_half("distill_on_policy", student, teacher, job.folder / "output")


@pytest.mark.slow
def test_answers_with_their_reasoning_are_learned(tmp_path: Path, start: Path) -> None:
    """The reasoning names the last digit, `[7]`, the answer behind it the letter."""
    answers = ({"prompt": n, "completion": f"[{n[-1]}]{LETTERS[int(n[-1])]}"} for n in TRAINED)
    spec = SUPERVISED | {"reasoning_start": "[", "reasoning_end": "]", "max_steps": 240}
    dataset = write_rows(tmp_path / "rows.jsonl", answers)
    job = make_job(tmp_path / "job", "distill_reasoning", spec, model=start, dataset=dataset)
    assert forked(job) == 0, job.log
    before, after = exact_match(start), exact_match(job.folder / "output")
    print(f"distill_reasoning: exact match {before:.2f} to {after:.2f}")
    assert before < 0.2
    assert after > 0.9


def closes_half(kind: str, before: Path, teacher: Path, after: Path) -> None:
    first, best, last = map(exact_match, (before, teacher, after))
    print(f"{kind}: exact match {first:.2f} to {last:.2f}, teacher {best:.2f}")
    assert best - first > 0.5
    assert last >= first + (best - first) / 2
