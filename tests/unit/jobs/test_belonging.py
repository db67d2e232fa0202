"""What does not belong together is said before a job runs, beside the setting that can be changed."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platform_core.clock import now
from platform_core.environments.health import ENGINES, Health
from platform_core.environments.service import Environment, write
from platform_core.hosts import nvml
from platform_core.jobs import service
from platform_core.rewards.spec import Reward
from platform_core.rewards.store import save
from platform_core.workspace.service import Workspace, open_workspace
from tests.unit.core.folders import model_folder

ROWS = {
    "sft": {"prompt": "one plus one", "completion": "two"},
    "grpo": {"prompt": "one plus one", "answer": "two"},
    "dpo": {"prompt": "one plus one", "chosen": "two", "rejected": "three"},
    "kto": {"prompt": "one plus one", "completion": "two", "label": True},
    "reward_model": {"prompt": "one plus one", "chosen": "two", "rejected": "three"},
    "distill": {"prompt": "one plus one"},
    "evaluation": {"prompt": "one plus one", "reference": "two"},
}
WORDS = ("one", "two", "three", "plus")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = open_workspace(tmp_path / "home")
    for name, row in ROWS.items():
        (made.datasets / f"{name}.jsonl").write_text((json.dumps(row) + "\n") * 8)
    for name in ("mine", "alike"):
        speaks(model_folder(made.models / name, context=16), WORDS)
    return made


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    told = {"uuid": "GPU-0", "name": "NVIDIA H200", "memory_total": 141 << 30, "memory_used": 0, "processes": []}
    (tmp_path / "nvml.json").write_text(json.dumps({"gpus": [told, told | {"uuid": "GPU-1"}]}))
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "nvml.json"))
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "fake_nvml"))
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    nvml._begun.clear()
    yield
    nvml.close()
    sys.modules.pop("pynvml", None)


def speaks(model: Path, words: tuple[str, ...]) -> Path:
    """Give a model's folder a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["?", *words])}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(model / "tokenizer.json"))
    return model


def scores(model: Path) -> Path:
    """Make a folder look like a reward model."""
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaForSequenceClassification"]}))
    return model


def said(workspace: Workspace, kind: str, dataset: str, **more: Any) -> dict[tuple[str, ...], tuple[str, str]]:
    """Field → level and sentence of what is found, without the usual ranges."""
    values = {"model": "mine", "dataset": f"{dataset}.jsonl", "cpu_slots": 1, **more}
    spec, findings = service.examine(workspace, kind, values)
    assert (spec is None) == any(f.forbids for f in findings)
    ranges = ("learning_rate", "batch_size", "critic_learning_rate")
    return {f.fields: (f.level, str(f.text)) for f in findings if not set(f.fields) & {*ranges, "engine"}}


def reward(workspace: Workspace, model: str) -> str:
    made = Reward.model_validate({"functions": [{"kind": "reward_model", "model": model}]})
    save(workspace.home / "rewards" / "judged", made, None, [])
    return "judged"


@pytest.mark.parametrize("words", [(*WORDS, "more"), ("two", "one", "three", "plus")], ids=["more", "in another order"])
def test_other_tokenizers_are_named_where_the_same_tokens_must_be_read(
    words: tuple[str, ...], workspace: Workspace
) -> None:
    speaks(model_folder(workspace.models / "other"), words)
    asked = {"max_completion_length": 4}
    assert "critic_model" not in str(said(workspace, "ppo", "grpo", critic_model="alike", **asked))
    level, sentence = said(workspace, "ppo", "grpo", critic_model="other", **asked)[("critic_model",)]
    assert (level, "other has another tokenizer" in sentence) == ("error", True)
    assert ("teacher", "model") not in said(workspace, "distill_on_policy", "distill", teacher="alike", **asked)
    level, sentence = said(workspace, "distill_on_policy", "distill", teacher="other", **asked)[("teacher", "model")]
    assert (level, "different tokenizers" in sentence) == ("error", True)


def test_the_reward_models_of_a_reward_are_looked_at(workspace: Workspace) -> None:
    asked: dict[str, Any] = {"max_completion_length": 4, "reward": reward(workspace, "nowhere")}
    level, sentence = said(workspace, "grpo", "grpo", **asked)[("reward",)]
    assert (level, "The reward asks nowhere: There is no model “nowhere”" in sentence) == ("error", True)
    reward(workspace, "alike")
    level, sentence = said(workspace, "grpo", "grpo", **asked)[("reward",)]
    assert (level, "alike is no reward model" in sentence) == ("error", True)
    scores(workspace.models / "alike")
    assert ("reward",) not in said(workspace, "grpo", "grpo", **asked)
    speaks(workspace.models / "alike", (*WORDS, "more"))
    level, sentence = said(workspace, "grpo", "grpo", **asked)[("reward",)]
    assert (level, "has another tokenizer" in sentence) == ("warning", True)


@pytest.mark.parametrize(
    ("kind", "dataset", "level"),
    [
        ("sft", "sft", "warning"),
        ("dpo", "dpo", "warning"),
        ("kto", "kto", "warning"),
        ("orpo", "dpo", "warning"),
        ("reward_model", "reward_model", "warning"),
        ("distill", "distill", "warning"),
        ("distill_reasoning", "sft", "warning"),
        ("evaluate", "evaluation", "warning"),
        *((kind, "grpo", "error") for kind in ("grpo", "gspo", "rloo", "cispo", "ppo", "spo")),
        ("distill_on_policy", "distill", "error"),
    ],
)
def test_prompts_that_fill_the_context_are_counted_in_tokens(
    kind: str, dataset: str, level: str, workspace: Workspace
) -> None:
    length = {"sft": "max_length", "grpo": "max_completion_length"}.get(dataset, "max_length")
    length = "max_completion_length" if kind == "distill_on_policy" else length
    asked = {"max_new_tokens": 4} if kind == "evaluate" else {length: 16 if length == "max_length" else 4}
    if "distill" in kind and kind != "distill_reasoning":
        asked |= {"teacher": "alike"}
    assert "longest prompt" not in str(said(workspace, kind, dataset, **asked))
    long = {**ROWS[dataset], "prompt": "one plus " * 10}
    with (workspace.datasets / f"{dataset}.jsonl").open("a") as file:
        file.write(json.dumps(long) + "\n")
    found = said(workspace, kind, dataset, **asked)
    fields = ("dataset", "max_length") if length == "max_length" and kind != "evaluate" else ("dataset",)
    assert found[fields][0] == level
    assert "The longest prompt has 20 tokens" in found[fields][1]
    assert "16" in found[fields][1]


def test_an_adapter_for_a_base_of_other_widths_is_named(workspace: Workspace) -> None:
    name = "model.layers.0.self_attn.q_proj"
    weights(workspace.models / "mine", {f"{name}.weight": [32, 16]})
    made = workspace.models / "adapter"
    weights(
        made, {f"base_model.model.{name}.lora_A.weight": [4, 16], f"base_model.model.{name}.lora_B.weight": [32, 4]}
    )
    config = {"base_model_name_or_path": str(workspace.models / "mine"), "task_type": "CAUSAL_LM"}
    (made / "adapter_config.json").write_text(json.dumps(config))
    (made / "tokenizer.json").write_bytes((workspace.models / "mine" / "tokenizer.json").read_bytes())
    asked = {"model": "adapter", "max_length": 16}
    assert ("model",) not in said(workspace, "sft", "sft", **asked)
    weights(workspace.models / "mine", {f"{name}.weight": [32, 24]})
    level, sentence = said(workspace, "sft", "sft", **asked)[("model",)]
    assert (level, "does not fit its base model" in sentence) == ("error", True)
    assert f"{name} has a width of 16, in the base 32 × 24" in sentence


def weights(folder: Path, shapes: dict[str, list[int]]) -> None:
    """A safetensors file of zeros."""
    folder.mkdir(exist_ok=True)
    header, end = {}, 0
    for name, (rows, columns) in shapes.items():
        header[name] = {"dtype": "U8", "shape": [rows, columns], "data_offsets": [end, end + rows * columns]}
        end += rows * columns
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


@pytest.mark.parametrize(
    ("values", "field", "package"),
    [
        ({"tuning": "qlora"}, "tuning", "bitsandbytes"),
        ({"optimizer": "adamw_8bit"}, "optimizer", "bitsandbytes"),
        ({"parallel": "zero2"}, "parallel", "DeepSpeed"),
    ],
)
def test_packages_that_the_jobs_interpreter_lacks_are_named(
    values: dict[str, Any], field: str, package: str, workspace: Workspace, two_gpus: None
) -> None:
    versions = dict.fromkeys(ENGINES["hf"], "1")
    bare = Health("3.11.9", {name.lower(): version for name, version in versions.items()}, now())
    write(workspace.home, Environment("bare", "/usr/bin/python3", bare))
    found = service.examine(
        workspace, "sft", {"model": "mine", "dataset": "sft.jsonl", "environment": "bare", "max_length": 16, **values}
    )[1]
    missing = [str(f.text) for f in found if f.fields == (field,) and f.level == "error"]
    assert any(package in sentence and "environment" in sentence for sentence in missing), missing


def test_four_bits_need_whole_blocks_where_the_model_answers(workspace: Workspace) -> None:
    config = json.loads((workspace.models / "mine" / "config.json").read_text())
    asked = {"max_completion_length": 4, "tuning": "qlora"}
    for hidden, found in ((48, True), (64, False)):
        wide = config | {"hidden_size": hidden, "intermediate_size": 128}
        (workspace.models / "mine" / "config.json").write_text(json.dumps(wide))
        sentences = said(workspace, "grpo", "grpo", **asked)
        assert (("quantization", "model") in sentences) is found
    assert ("quantization", "model") not in said(workspace, "grpo", "grpo", **asked | {"quantization": "int8"})


@pytest.mark.parametrize("own", [False, True], ids=["a general class", "a class that knows it"])
def test_a_tokenizer_without_an_end_is_named(own: bool, workspace: Workspace) -> None:
    names = {"tokenizer_class": "GPT2Tokenizer" if own else "TokenizersBackend"}
    (workspace.models / "mine" / "tokenizer_config.json").write_text(json.dumps(names))
    assert (("model",) in said(workspace, "sft", "sft", max_length=16)) is not own
    (workspace.models / "mine" / "tokenizer_config.json").write_text(json.dumps(names | {"eos_token": "two"}))
    assert ("model",) not in said(workspace, "sft", "sft", max_length=16)


@pytest.mark.parametrize(
    ("kind", "dataset", "sentence"),
    [
        ("ppo", "dpo", "PPO needs a prompt and an answer that can be checked. Rename its fields"),
        ("orpo", "sft", "ORPO needs a prompt with a chosen and a rejected answer. Rename its fields"),
        ("orpo", "kto", "DPO needs a prompt with a chosen and a rejected answer. Make a copy for DPO"),
    ],
)
def test_the_sentence_about_a_format_names_the_kind(
    kind: str, dataset: str, sentence: str, workspace: Workspace
) -> None:
    assert sentence in said(workspace, kind, dataset)[("dataset",)][1]
