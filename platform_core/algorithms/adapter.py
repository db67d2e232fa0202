"""What is trained of a model: all weights, or a low-rank adapter, on weights that may be quantized."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from platform_core.algorithms.optimizer import OptimizerSpec
from platform_core.jobs.spec import cross_field, setting

ADAPTER = {"tuning": ("lora", "qlora")}
QUANTIZED = {"tuning": ("qlora",)}


class AdapterSpec(OptimizerSpec):
    """Full fine-tuning, LoRA (Hu et al. 2021) or QLoRA (Dettmers et al. 2023)."""

    tuning: Literal["full", "lora", "qlora"] = setting(
        "full",
        title="Weights trained",
        help="All of them, or small adapters beside frozen ones: LoRA needs a fraction of the optimizer's memory; "
        "QLoRA keeps the frozen weights in 4 or 8 bits, too. Adapters take about ten times the learning rate.",
        group="Adapter",
        labels={"full": "All", "lora": "LoRA", "qlora": "QLoRA"},
    )
    lora_rank: int = setting(
        16,
        title="Rank",
        help="Width of the two matrices that an adapter adds to each layer.",
        group="Adapter",
        ge=1,
        le=4096,
        recommended=(8, 32),
        shown_if=ADAPTER,
    )
    lora_alpha: int | None = setting(
        None,
        title="Alpha",
        help="An adapter's output is scaled by alpha / rank. Empty: twice the rank.",
        group="Adapter",
        ge=1,
        le=65_536,
        shown_if=ADAPTER,
    )
    quantization: Literal["nf4", "int8"] = setting(
        "nf4",
        title="Frozen weights in",
        help="4-bit NormalFloat (QLoRA), or 8 bits with outliers apart (LLM.int8, Dettmers et al. 2022).",
        group="Adapter",
        labels={"nf4": "4 bits (NF4)", "int8": "8 bits"},
        shown_if=QUANTIZED,
    )
    double_quantization: bool = setting(
        True,
        title="Double quantization",
        help="The scales of the 4-bit blocks are quantized, too: 0.4 bits a weight less.",
        group="Adapter",
        advanced=True,
        shown_if={"tuning": ("qlora",), "quantization": ("nf4",)},
    )
    lora_dropout: float = setting(
        0.0,
        title="Adapter dropout",
        help="Share of an adapter's inputs that is left out at random while it learns.",
        group="Adapter",
        advanced=True,
        ge=0,
        lt=1,
        step=0.05,
        recommended=(0.0, 0.1),
        shown_if=ADAPTER,
    )
    lora_targets: str = setting(
        "all-linear",
        title="Layers with adapters",
        help="`all-linear`, or names of modules separated by commas, such as q_proj,v_proj.",
        group="Adapter",
        advanced=True,
        min_length=1,
        max_length=1000,
        shown_if=ADAPTER,
    )
    lora_variant: Literal["lora", "rslora", "dora"] = setting(
        "lora",
        title="Variant",
        help="rsLoRA scales by alpha / √rank, which suits high ranks (Kalajdzievski 2023); DoRA trains the length of "
        "the weights apart from their direction (Liu et al. 2024): better at low ranks, slower.",
        group="Adapter",
        advanced=True,
        labels={"lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA"},
        shown_if=ADAPTER,
    )
    adapter_output: Literal["adapter", "merged"] = setting(
        "adapter",
        title="Result",
        help="The adapter alone, some megabytes that need their base model, or a whole model with the adapter merged.",
        group="Adapter",
        advanced=True,
        labels={"adapter": "Adapter", "merged": "Merged model"},
        shown_if=ADAPTER,
    )

    @property
    def scale(self) -> int:
        """Alpha as it is used."""
        return self.lora_alpha or 2 * self.lora_rank

    @model_validator(mode="after")
    def adapter_fits(self) -> AdapterSpec:
        if self.tuning == "qlora" and self.lora_variant == "dora" and self.quantization == "int8":
            raise cross_field("DoRA does not work on 8-bit weights: take 4 bits, or LoRA.", "lora_variant")
        return self
