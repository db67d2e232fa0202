"""Low-rank adapters: put beside a model's weights, which may be quantized, trained on, merged."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, prepare_model_for_kbit_training
from safetensors import safe_open
from transformers import BitsAndBytesConfig
from transformers.modeling_utils import PreTrainedModel

from platform_core.algorithms.adapter import AdapterSpec
from platform_core.errors import Problem
from platform_core.files import read_json
from platform_core.models.adapters import is_adapter

ALL_LINEAR = "all-linear"
BLOCK = 32


def task_of(folder: Path) -> str:
    """What an adapter was trained for, as PEFT calls it: CAUSAL_LM writes, SEQ_CLS scores."""
    return str((read_json(folder / "adapter_config.json") or {}).get("task_type") or "CAUSAL_LM")


def put_on(model: PreTrainedModel, folder: Path, trainable: bool = False) -> PeftModel:
    """The adapter in `folder` on its loaded base; raises Problem when it is for another base."""
    if not any(folder.glob("*.safetensors")):
        raise Problem(
            "{folder} holds no adapter weights as safetensors: other formats can carry programs.",
            fields=("model",),
            folder=str(folder),
        )
    if foreign := layers_of(folder) - {name for name, _ in model.named_modules()}:
        raise other_base(folder, f"the base has no layer {min(foreign)}")
    config = PeftConfig.from_pretrained(str(folder))
    if config.task_type == "CAUSAL_LM" and not hasattr(model, "prepare_inputs_for_generation"):
        config.task_type = None  # put on a model that scores
    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=trainable, config=config)
    except (RuntimeError, ValueError) as error:
        raise other_base(folder, str(error).strip().split("\n")[0][:200]) from error


def layers_of(folder: Path) -> set[str]:
    """The layers of its base that an adapter adds to, by their names in the model."""
    found = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            names = weights.keys()
        found |= {name.partition(".lora_A.")[0] for name in names if ".lora_A." in name}
    return {name.removeprefix("base_model.model.").removesuffix(".base_layer") for name in found}


def other_base(folder: Path, reason: str) -> Problem:
    """The sentence for an adapter whose base is another model now."""
    return Problem(
        "The adapter {folder} does not fit its base model ({reason}): it was trained on another one.",
        fields=("model",),
        folder=str(folder),
        reason=reason,
    )


def merged(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The base with the adapter in `folder` added to its weights, all of which can be trained."""
    whole: PreTrainedModel = put_on(model, folder).merge_and_unload()
    return whole.requires_grad_(True)


def quantization(spec: AdapterSpec) -> BitsAndBytesConfig | None:
    """How the frozen weights are loaded; None: as they are. Raises Problem where bitsandbytes is missing."""
    if spec.tuning != "qlora":
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise Problem(
            "Quantized weights need the package bitsandbytes, which this machine's Python does not have: take LoRA, or "
            "install it into the environment of the job.",
            fields=("tuning",),
        )
    if spec.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=spec.double_quantization,
        bnb_4bit_compute_dtype=torch.bfloat16 if getattr(spec, "dtype", "") == "bfloat16" else torch.float32,
    )


def with_adapter(
    model: PreTrainedModel, folder: Path, spec: AdapterSpec, task: str = "CAUSAL_LM"
) -> tuple[Any, LoraConfig | None]:
    """A loaded start model ready for a trainer, and the adapter that the trainer is to put on it.

    `folder` is where the start came from: an adapter is trained on, or merged when all weights are trained.
    """
    if spec.tuning == "full":
        return (merged(model, folder) if is_adapter(folder) else model), None
    if spec.tuning == "qlora":
        refuse_odd_widths(model, spec)
        model = prepare_model_for_kbit_training(
            model,
            use_gradient_checkpointing=bool(getattr(spec, "gradient_checkpointing", False)),
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
    if is_adapter(folder):
        return put_on(model, folder, trainable=True), None
    return model, lora_config(model, spec, task)


def refuse_odd_widths(model: PreTrainedModel, spec: AdapterSpec) -> None:
    """Raise Problem where bitsandbytes' forward pass without gradients would fail: 4 bits come in blocks of 32."""
    without_gradients = getattr(spec, "validates", False) or hasattr(spec, "max_completion_length")
    if spec.quantization != "nf4" or not without_gradients:
        return
    widths = {m.in_features for m in model.modules() if type(m).__name__ == "Linear4bit"}
    if odd := sorted(width for width in widths if width % BLOCK):
        raise Problem(
            "Answering and measuring on 4-bit weights need layers whose width is a multiple of {block}; this model has "
            "one of {width}: take 8 bits, or LoRA.",
            fields=("quantization", "model"),
            block=BLOCK,
            width=odd[0],
        )


def lora_config(model: PreTrainedModel, spec: AdapterSpec, task: str = "CAUSAL_LM") -> LoraConfig:
    """PEFT's config of the adapter that a spec asks for; raises Problem for modules that the model does not have."""
    wanted: Any = spec.lora_targets.strip()
    if wanted != ALL_LINEAR:
        wanted = [name.strip() for name in wanted.split(",") if name.strip()]
        linear = {name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        if odd := [name for name in wanted if name not in linear]:
            raise Problem(
                "The model has no layer named {name}; there are {known}. Name some of them, or all-linear.",
                fields=("lora_targets",),
                name=odd[0],
                known=", ".join(sorted(linear)),
            )
    return LoraConfig(
        task_type=task,
        r=spec.lora_rank,
        lora_alpha=spec.scale,
        lora_dropout=spec.lora_dropout,
        target_modules=wanted,
        use_rslora=spec.lora_variant == "rslora",
        use_dora=spec.lora_variant == "dora",
    )


def keep_float32(model: torch.nn.Module) -> None:
    """Turn trained weights to float32: TRL rounds adapters on quantized weights to bfloat16, PEFT loads them whole."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype == torch.bfloat16:
            parameter.data = parameter.data.float()
