"""What can't work ends in a sentence with thing, reason and way out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from platform_core.metrics.reader import Reader
from tests.integration.engines.jobs import TRAINING, Job, forked, make_job

SFT = {**TRAINING, "max_steps": 6, "batch_size": 8, "max_length": 32}
CHAT = [{"role": "user", "content": "1+2="}, {"role": "assistant", "content": "3"}]
TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def failed(job: Job) -> str:
    assert forked(job) == 1
    assert job.result["status"] == "failed"
    assert not (job.folder / "output").exists()
    assert "Traceback" in job.log
    return job.sentence


def changed(model: Path, target: Path) -> Path:
    shutil.copytree(model, target)
    return target


def test_a_model_without_a_tokenizer(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    bare = changed(model, tmp_path / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (bare / name).unlink()
    sentence = failed(make_job(tmp_path / "job", "sft", SFT, model=bare, dataset=files["sft"]))
    assert "has no tokenizer" in sentence
    assert str(bare) in sentence


def test_a_tokenizer_that_is_too_large_for_the_model(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    odd = changed(model, tmp_path / "odd")
    weights = load_file(odd / "model.safetensors")
    name = "model.embed_tokens.weight"
    save_file({**weights, name: weights[name][:200].copy()}, odd / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((odd / "config.json").read_text()) | {"vocab_size": 200}
    (odd / "config.json").write_text(json.dumps(config))
    assert "only 200 rows" in failed(make_job(tmp_path / "job", "sft", SFT, model=odd, dataset=files["sft"]))


def test_a_model_of_pickled_weights_is_not_read(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    pickled = changed(model, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "safetensors" in failed(make_job(tmp_path / "job", "sft", SFT, model=pickled, dataset=files["sft"]))


@pytest.mark.parametrize(
    ("kind", "spec", "data"),
    [
        ("sft", SFT, "sft"),
        ("grpo", {**TRAINING, "max_steps": 3, "num_generations": 4, "max_completion_length": 6}, "grpo"),
    ],
)
def test_weights_that_are_not_numbers_stop_the_training_at_once(
    kind: str, spec: dict[str, object], data: str, tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    broken = changed(model, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"] = np.full_like(weights["model.norm.weight"], np.nan)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    job = make_job(tmp_path / "job", kind, spec, model=broken, dataset=files[data])
    assert "became NaN at step 1" in failed(job)


def test_an_absurd_learning_rate_is_named(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    large = changed(model, tmp_path / "large")
    weights = load_file(large / "model.safetensors")
    save_file(
        {k: v * np.float32(1e18) for k, v in weights.items()}, large / "model.safetensors", metadata={"format": "pt"}
    )
    spec = SFT | {"learning_rate": 1.0, "max_grad_norm": 0}
    job = make_job(tmp_path / "job", "sft", spec, model=large, dataset=files["sft"])
    sentence = failed(job)
    assert "became NaN at step" in sentence
    assert "learning rate (1.0)" in sentence


def test_conversations_need_a_chat_template(tmp_path: Path, model: Path) -> None:
    chats = tmp_path / "chats.jsonl"
    chats.write_text((json.dumps({"messages": CHAT}) + "\n") * 8)
    assert "no chat template" in failed(make_job(tmp_path / "job", "sft", SFT, model=model, dataset=chats))


def test_conversations_train_on_the_assistants_turns(tmp_path: Path, model: Path) -> None:
    from transformers import AutoTokenizer

    from runners.engines.hf.conversation import IGNORED, spoken

    chatty = changed(model, tmp_path / "chatty")
    (chatty / "chat_template.jinja").write_text(TEMPLATE)
    turns = [*CHAT, {"role": "user", "content": "2+2="}, {"role": "assistant", "content": "4"}]
    tokenizer = AutoTokenizer.from_pretrained(chatty)
    said = spoken(turns, tokenizer)
    ids, labels = said.ids, said.labels
    trained = [label for label in labels if label != IGNORED]
    assert tokenizer.decode(ids) == "[user]1+2=[assistant]3<eos>[user]2+2=[assistant]4<eos>"
    assert tokenizer.decode(trained) == "3<eos>4<eos>"
    chats = tmp_path / "chats.jsonl"
    chats.write_text((json.dumps({"messages": turns}) + "\n") * 8)
    job = make_job(tmp_path / "job", "sft", SFT, model=chatty, dataset=chats)
    assert forked(job) == 0, job.log


def test_rows_without_room_for_an_answer_are_dropped_and_counted(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    data = tmp_path / "long.jsonl"
    long = json.dumps({"prompt": "1+" * 40, "completion": "7"}) + "\n"
    data.write_text(files["sft"].read_text() + long * 3)
    job = make_job(tmp_path / "job", "sft", SFT, model=model, dataset=data)
    assert forked(job) == 0, job.log
    with Reader(job.folder / "metrics.sqlite") as reader:
        dropped = [event for event in reader.events() if event.kind == "dropped_rows"]
    assert [event.data["count"] for event in dropped] == [3]
    data.write_text(long)
    nothing = make_job(tmp_path / "nothing", "sft", SFT, model=model, dataset=data)
    assert "No row of long.jsonl has an answer within 32 tokens" in failed(nothing)


def test_too_few_prompts_for_a_step(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    spec = {**TRAINING, "max_steps": 3, "batch_size": 128, "num_generations": 2, "max_completion_length": 6}
    sentence = failed(make_job(tmp_path / "job", "grpo", spec, model=model, dataset=files["grpo"]))
    assert "32 prompts, but one step takes 64" in sentence


def test_data_that_does_not_fit_the_kind(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    sentence = failed(make_job(tmp_path / "job", "sft", SFT, model=model, dataset=files["pretrain"]))
    assert "SFT needs" in sentence


def test_a_model_with_broken_weights_is_not_judged(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    weights = load_file(broken / "model.safetensors")
    next(iter(weights.values()))[0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    job = make_job(tmp_path / "job", "evaluate", {"cpu_slots": 1}, model=broken, dataset=files["heldout"])
    assert "weights that are NaN" in failed(job)


def test_a_critic_with_another_tokenizer_is_named(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    other = changed(model, tmp_path / "other")
    words = json.loads((other / "tokenizer.json").read_text())
    first = next(iter(words["model"]["vocab"]))
    words["model"]["vocab"]["never seen"] = words["model"]["vocab"].pop(first)
    words["added_tokens"] = [word | {"content": "never seen"} if word["content"] == first else word
                             for word in words["added_tokens"]]  # fmt: skip
    (other / "tokenizer.json").write_text(json.dumps(words))
    spec = {**TRAINING, "max_steps": 2, "num_generations": 2, "batch_size": 4, "max_completion_length": 4}
    job = make_job(tmp_path / "job", "ppo", spec, model=model, dataset=files["grpo"], critic_model=other)
    assert "another tokenizer" in failed(job)


def test_a_reward_model_lends_the_critic_its_score(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    judge, two = tmp_path / "judge", tmp_path / "two"
    for folder, labels in ((judge, 1), (two, 2)):
        shutil.copytree(model, folder)
        config = json.loads((folder / "config.json").read_text())
        named = {str(n): f"LABEL_{n}" for n in range(labels)}
        config |= {"architectures": ["LlamaForSequenceClassification"], "id2label": named}
        (folder / "config.json").write_text(json.dumps(config | {"label2id": {v: k for k, v in named.items()}}))
        weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if k != "lm_head.weight"}
        width = weights["model.norm.weight"].size
        weights["score.weight"] = np.full((labels, width), 0.01, dtype=np.float32)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    spec = {**TRAINING, "max_steps": 2, "num_generations": 2, "batch_size": 4, "max_completion_length": 4}
    job = make_job(tmp_path / "job", "ppo", spec, model=model, dataset=files["grpo"], critic_model=judge)
    assert forked(job) == 0, job.log
    with Reader(job.folder / "metrics.sqlite") as run:
        assert run.points("value/mean")[1][0] != 0
    job = make_job(tmp_path / "other", "ppo", spec, model=model, dataset=files["grpo"], critic_model=two)
    assert "without a single score" in failed(job)


def test_rewards_that_are_all_alike_are_said_at_once(tmp_path: Path, files: dict[str, Path], model: Path) -> None:
    rows = [json.loads(line) | {"answer": "no"} for line in files["grpo"].read_text().splitlines()]
    data = tmp_path / "never.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)) + "\n")
    spec = {**TRAINING, "max_steps": 2, "batch_size": 8, "max_completion_length": 4, "answer_extraction": "marker"}
    job = make_job(tmp_path / "job", "spo", spec, model=model, dataset=data)
    assert forked(job) == 0, job.log
    with Reader(job.folder / "metrics.sqlite") as run:
        (said,) = [event for event in run.events() if event.kind == "equal_rewards"]
    assert "all 8 completions of the first rollout got the reward 0" in said.text


def test_an_adapter_of_a_deeper_model_is_not_put_on_in_part(
    tmp_path: Path, files: dict[str, Path], model: Path
) -> None:
    first = make_job(
        tmp_path / "first", "sft", SFT | {"tuning": "lora", "max_steps": 1}, model=model, dataset=files["sft"]
    )
    assert forked(first) == 0, first.log
    deeper = changed(first.folder / "output", tmp_path / "deeper")
    weights = load_file(deeper / "adapter_model.safetensors")
    more = {name.replace("layers.0", "layers.1"): value for name, value in weights.items()}
    save_file(weights | more, deeper / "adapter_model.safetensors", metadata={"format": "pt"})
    (deeper / "lathe.json").unlink()
    assert forked(make_job(tmp_path / "fits", "sft", SFT, model=first.folder / "output", dataset=files["sft"])) == 0
    sentence = failed(make_job(tmp_path / "job", "sft", SFT, model=deeper, dataset=files["sft"]))
    assert "does not fit its base model (the base has no layer model.layers.1." in sentence
