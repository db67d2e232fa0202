"""Models and tokenizers: loaded from a folder, built from sizes, saved as the output of a job."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from platform_core.algorithms.adapter import AdapterSpec
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.files import write_json
from platform_core.jobs.spec import spec_hash
from platform_core.models.adapters import base_of, config_folder, is_adapter
from platform_core.models.architecture import Architecture
from platform_core.models.kinds import is_reward_model
from runners.engines.hf import adapter
from runners.job import Run

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
WRITES, SCORES = "CAUSAL_LM", "SEQ_CLS"
"""What a model is for, as PEFT calls it."""


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in `folder`, with a padding token; raises Problem when it or its end-of-text token is missing."""
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise Problem(
            "{folder} has no tokenizer (no tokenizer.json): copy the tokenizer's files into it, or choose another.",
            fields=("model", "tokenizer"),
            folder=str(folder),
        )
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        raise Problem(
            "The tokenizer in {folder} has no end-of-text token (eos_token), so a model could never learn to stop: "
            "set `eos_token` in its tokenizer_config.json.",
            folder=str(folder),
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    folder: Path, tokenizer: PreTrainedTokenizerBase, quantization: Any = None, task: str = WRITES
) -> PreTrainedModel:
    """The model in `folder`, an adapter merged into its base; raises Problem when it is not whole.

    float32, from safetensors only. `quantization`: a transformers quantization config for the weights of the layers.
    `task` is WRITES for a language model, SCORES for one that gives a text one number (its head is new where the folder
    holds a language model).
    """
    if task == WRITES and is_reward_model(folder):
        raise Problem(
            "{folder} is a reward model: it scores answers and can't write any. Choose the model it was made from.",
            fields=("model",),
            folder=str(folder),
        )
    if is_adapter(folder):
        return adapter.merged(load_model(base_of(folder), tokenizer, task=task), folder)
    if not (folder / "config.json").is_file():
        raise Problem("{folder} is not a model: it has no config.json.", fields=("model",), folder=str(folder))
    if not any(folder.glob("*.safetensors")):
        raise Problem(
            "{folder} holds no weights as safetensors: convert them; other formats can carry programs.",
            fields=("model",),
            folder=str(folder),
        )
    auto, labels = (
        (AutoModelForCausalLM, {}) if task == WRITES else (AutoModelForSequenceClassification, {"num_labels": 1})
    )
    model: PreTrainedModel = auto.from_pretrained(
        folder,
        dtype=torch.float32,
        trust_remote_code=False,
        use_safetensors=True,
        **({"quantization_config": quantization} if quantization else {}),
        **labels,
    )
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise Problem(
            "The tokenizer in {folder} has {tokens} tokens, but the model's embedding only {rows} rows: "
            "they do not belong together; copy the tokenizer that the model was trained with.",
            fields=("model",),
            folder=str(folder),
            tokens=len(tokenizer),
            rows=rows,
        )
    return model


def load_start(run: Run, tokenizer: PreTrainedTokenizerBase, task: str = WRITES) -> tuple[Any, LoraConfig | None]:
    """The model that a training starts from, and the adapter that its trainer is to put on it (`peft_config`)."""
    folder, spec = run.paths["model"], run.spec
    assert isinstance(spec, AdapterSpec)
    if is_adapter(folder) and adapter.task_of(folder) != task and spec.tuning != "full":
        raise Problem(
            "{folder} is an adapter of a model that writes, on which no adapter that scores can be trained: train all "
            "weights, or merge it first.",
            fields=("tuning", "model"),
            folder=str(folder),
        )
    base = config_folder(folder)
    model = load_model(base, tokenizer, adapter.quantization(spec), task)
    return adapter.with_adapter(model, folder, spec, task)


def build_model(architecture: Architecture, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """A model with random weights (transformers' own initialisation), reproducible by `seed`."""
    torch.manual_seed(seed)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(
        model_config(architecture, tokenizer), dtype=torch.float32
    )
    return model


def model_config(a: Architecture, tokenizer: PreTrainedTokenizerBase | None = None) -> Any:
    """The transformers config of an architecture; settings that a family lacks are left out."""
    sizes: dict[str, Any] = {
        "vocab_size": a.vocab_size,
        "hidden_size": a.hidden_size,
        "num_hidden_layers": a.layers,
        "num_attention_heads": a.heads,
        "num_key_value_heads": a.kv_heads,
        "head_dim": a.head_dim,
        "intermediate_size": a.intermediate_size,
        "max_position_embeddings": a.context_length,
        "tie_word_embeddings": a.tie_embeddings,
    }
    if a.family == "qwen3_moe":
        sizes |= {
            "num_experts": a.experts,
            "num_experts_per_tok": a.experts_per_token,
            "moe_intermediate_size": a.moe_intermediate_size,
        }
    if tokenizer is not None:
        sizes |= {
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": tokenizer.bos_token_id,
        }
    return AutoConfig.for_model(a.family, **sizes)


def context_length(model: PreTrainedModel) -> int | None:
    """Positions that the model can see, or None when its config does not say."""
    length = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(length) if length else None


def save_model(model: Any, tokenizer: PreTrainedTokenizerBase, run: Run, task: str = WRITES) -> None:
    """Write what was trained (safetensors), its tokenizer and lineage into `run.output`.

    An adapter is written as one, or merged into its base in float32 where the spec says so. Weights and config carry no
    path of this machine; an adapter's config names its base, which other programs need.
    """
    if run.rank:
        return  # rank 0 saves for all
    more: dict[str, object] = {}
    if isinstance(model, PeftModel):
        base = config_folder(run.paths["model"])
        model.peft_config["default"].base_model_name_or_path = str(base)
        model.save_pretrained(run.output, safe_serialization=True, selected_adapters=["default"])
        (run.output / "README.md").unlink(missing_ok=True)
        if getattr(run.spec, "adapter_output", "") == "merged":
            model = adapter.merged(load_model(base, tokenizer, task=task), run.output)
            for file in run.output.glob("adapter_*"):
                file.unlink()
        else:
            more["base"] = os.path.relpath(base, run.folder / "output")
    if not isinstance(model, PeftModel):
        model.config._name_or_path = ""
        model.config.use_cache = True  # the Trainer turned it off
        model.save_pretrained(run.output, safe_serialization=True)
    tokenizer.name_or_path = ""
    tokenizer.save_pretrained(run.output)
    for weights in run.output.glob("*.safetensors"):
        weights.chmod(0o644)  # safetensors makes them private
    save_lineage(run, parameters=model.num_parameters(), **more)


def save_lineage(run: Run, **more: object) -> None:
    """Write `lathe.json`: which job made this, of what kind, from what, with which settings."""
    write_json(
        run.output / "lathe.json",
        {
            "job": run.id,
            "kind": run.kind,
            "parents": {field: str(path) for field, path in run.paths.items()},
            "spec": json.loads(run.spec.model_dump_json()),
            "spec_hash": spec_hash(run.kind, run.spec),
            "created": now(),
            **more,
        },
    )
