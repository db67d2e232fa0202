"""A teacher's answers survive whatever ends the job that asks for them; models that don't fit are told apart."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.engines.jobs import TRAINING, Job, forked, make_job
from tests.integration.engines.test_exact import events, told

SPEC = {**TRAINING, "max_steps": 3, "batch_size": 4, "max_length": 32, "max_new_tokens": 6, "answer_batch_size": 8}
ON_POLICY = {**TRAINING, "max_steps": 2, "batch_size": 4, "max_completion_length": 4}


def at_batch(number: int, act: Callable[[], object]) -> Callable[[], None]:
    """In a runner: do something before the teacher's batch `number`."""

    def first() -> None:
        from runners.engines.hf import distill

        ask, asked = distill.answer, []

        def answer(*arguments: object, **named: object) -> object:
            asked.append(1)
            if len(asked) == number:
                act()
            return ask(*arguments, **named)  # type: ignore[arg-type]

        distill.answer = answer  # type: ignore[assignment]

    return first


def answers(job: Job) -> list[dict[str, object]]:
    return [json.loads(line) for line in (job.folder / "answers.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_answers_are_the_same_after_a_pause_and_a_crash(
    tmp_path: Path, files: dict[str, Path], model: Path, taught: Path
) -> None:
    spec = {**SPEC, "temperature": 1.0, "keep_unfinished": True}
    paths = {"model": model, "teacher": taught, "dataset": files["distill"]}
    whole = make_job(tmp_path / "whole", "distill", spec, **paths)
    assert forked(whole) == 0, whole.log
    job = make_job(tmp_path / "job", "distill", spec, **paths)
    assert forked(job, at_batch(2, lambda: signal.raise_signal(signal.SIGUSR1))) == 0, job.log
    assert job.result["status"] == "paused"
    assert len(answers(job)) == 16
    assert forked(job, at_batch(1, lambda: os.kill(os.getpid(), signal.SIGKILL))) == -signal.SIGKILL
    with (job.folder / "answers.jsonl").open("a") as file:
        file.write('{"row": 3, "batch": 2, "prompt": "half a l')
    assert forked(job) == 0, job.log
    assert answers(job) == answers(whole)
    assert job.weights == whole.weights
    assert told(job) == told(whole)
    made = [json.loads(line) for line in (job.folder / "output" / "answers.jsonl").read_text().splitlines()]
    assert [row["prompt"] for row in made] == [
        json.loads(line)["prompt"] for line in files["distill"].read_text().splitlines()
    ]
    assert all(row["response"] for row in made)


def test_unfinished_answers_are_left_out_and_none_is_an_error(
    tmp_path: Path, files: dict[str, Path], model: Path, taught: Path
) -> None:
    paths = {"model": taught, "teacher": model, "dataset": files["distill"]}  # this one has not learned to stop
    job = make_job(tmp_path / "job", "distill", SPEC | {"max_new_tokens": 1}, **paths)
    assert forked(job) == 1
    assert "came to an end within 1 tokens" in job.sentence


def test_chats_go_by_text_to_a_student_of_another_family(
    tmp_path: Path, files: dict[str, Path], model: Path, taught: Path
) -> None:
    tokens = make_job(tmp_path / "tokens", "tokenizer", {"vocab_size": 280}, dataset=files["pretrain"])
    assert forked(tokens) == 0, tokens.log
    sizes = {"hidden_size": 16, "layers": 1, "heads": 2, "kv_heads": 2, "intermediate_size": 32, "context_length": 64}
    student = make_job(
        tmp_path / "student",
        "pretrain",
        {**sizes, **TRAINING, "family": "qwen3", "max_steps": 1, "batch_size": 4, "max_length": 32},
        tokenizer=tokens.folder / "output",
        dataset=files["pretrain"],
    )
    assert forked(student) == 0, student.log
    chatty = tmp_path / "chatty"
    shutil.copytree(taught, chatty)
    (chatty / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    )
    chats = tmp_path / "chats.jsonl"
    prompts = [f"{a}+{b}=" for a in range(4) for b in range(4)]
    rows = [[{"role": "user", "content": p}, {"role": "assistant", "content": "?"}] for p in prompts]
    chats.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    paths = {"model": student.folder / "output", "teacher": chatty, "dataset": chats}
    job = make_job(tmp_path / "job", "distill", {**SPEC, "chat_template": "plain", "keep_unfinished": True}, **paths)
    assert forked(job) == 0, job.log
    made = [json.loads(line) for line in (job.folder / "output" / "answers.jsonl").read_text().splitlines()]
    assert [row["messages"][0]["content"] for row in made] == prompts
    assert all(row["messages"][1]["content"] not in ("?", "") for row in made)
    assert "Assistant" in (job.folder / "output" / "chat_template.jinja").read_text()
    (mask,) = events(job, "loss_mask")
    assert mask.data["spans"][0] == [f"User: {prompts[0]}\nAssistant:", False]
    told_apart = make_job(tmp_path / "policy", "distill_on_policy", ON_POLICY, **paths | {"dataset": files["distill"]})
    assert forked(told_apart) == 1
    assert "different tokenizers" in told_apart.sentence


def test_rows_without_answers_can_not_share_the_steps(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    spec = {**ON_POLICY, "student_share": 0.5}
    paths = {"model": taught, "teacher": taught, "dataset": files["grpo"]}
    job = make_job(tmp_path / "job", "distill_on_policy", spec, **paths)
    assert forked(job) == 1
    assert "32 rows of grpo.jsonl have no answer" in job.sentence


def test_a_teacher_may_have_more_rows_of_padding(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    from transformers import AutoModelForCausalLM

    padded = tmp_path / "padded"
    shutil.copytree(taught, padded)
    teacher = AutoModelForCausalLM.from_pretrained(taught)
    teacher.resize_token_embeddings(teacher.config.vocab_size + 20)
    teacher.save_pretrained(padded)
    paths = {"model": taught, "teacher": padded, "dataset": files["distill"]}
    job = make_job(tmp_path / "job", "distill_on_policy", ON_POLICY, **paths)
    assert forked(job) == 0, job.log
    assert float(str(job.metrics["loss"])) == pytest.approx(0, abs=1e-4)  # they are one model
    small = make_job(tmp_path / "small", "distill_on_policy", ON_POLICY, **paths | {"model": padded, "teacher": taught})
    assert forked(small) == 1
    assert "they can't be compared" in small.sentence
