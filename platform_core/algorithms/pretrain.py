"""Pretraining: next-token prediction on plain texts, from scratch or going on from a model."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from platform_core.algorithms.registry import Algorithm
from platform_core.algorithms.training import TrainingSpec
from platform_core.jobs.spec import cross_field, setting
from platform_core.models.architecture import FAMILIES, Architecture, Family

SCRATCH = {"start": ("scratch",)}


class PretrainSpec(TrainingSpec):
    start: Literal["scratch", "model"] = setting(
        "scratch",
        title="Start from",
        help="Fresh random weights, or a model of the library.",
        labels={"scratch": "Scratch", "model": "A model"},
    )
    tokenizer: str | None = setting(
        None,
        title="Tokenizer",
        help="A tokenizer job, or a model folder whose tokenizer is taken.",
        pick="tokenizer",
        shown_if=SCRATCH,
    )
    model: str | None = setting(
        None, title="Model", help="The model whose training goes on.", pick="model", shown_if={"start": ("model",)}
    )
    dataset: str = setting(title="Dataset", help="Plain texts (`text` in every row).", pick="dataset")
    family: Family = setting(
        "llama",
        title="Architecture",
        help="The layout of the network.",
        group="Model",
        labels=FAMILIES,
        shown_if=SCRATCH,
    )
    hidden_size: int = setting(
        64,
        title="Hidden size",
        help="Width of the residual stream.",
        group="Model",
        ge=8,
        le=65_536,
        step=8,
        shown_if=SCRATCH,
    )
    layers: int = setting(2, title="Layers", help="Transformer blocks.", group="Model", ge=1, le=1024, shown_if=SCRATCH)
    heads: int = setting(
        4,
        title="Heads",
        help="Attention heads; they divide the hidden size.",
        group="Model",
        ge=1,
        le=1024,
        shown_if=SCRATCH,
    )
    kv_heads: int = setting(
        4,
        title="KV heads",
        help="Shared key/value heads (grouped-query attention); they divide the heads.",
        group="Model",
        ge=1,
        le=1024,
        shown_if=SCRATCH,
    )
    intermediate_size: int = setting(
        256,
        title="MLP size",
        help="Width inside the MLP; usually 2.7 to 4 times the hidden size.",
        group="Model",
        ge=8,
        le=1_000_000,
        shown_if=SCRATCH,
    )
    context_length: int = setting(
        128,
        title="Context length",
        help="Positions that the model can see.",
        group="Model",
        unit="tokens",
        ge=8,
        le=10_000_000,
        shown_if=SCRATCH,
    )
    tie_embeddings: bool = setting(
        True,
        title="Tie embeddings",
        help="Input and output embeddings share their weights; right for small models.",
        group="Model",
        shown_if=SCRATCH,
    )
    experts: int = setting(
        8,
        title="Experts",
        help="Expert MLPs a layer.",
        group="Model",
        ge=2,
        le=1024,
        shown_if={**SCRATCH, "family": ("qwen3_moe",)},
    )
    experts_per_token: int = setting(
        2,
        title="Experts a token",
        help="Experts that each token is sent to.",
        group="Model",
        ge=1,
        le=64,
        shown_if={**SCRATCH, "family": ("qwen3_moe",)},
    )
    moe_intermediate_size: int = setting(
        64,
        title="Expert size",
        help="Width inside each expert.",
        group="Model",
        ge=8,
        le=1_000_000,
        shown_if={**SCRATCH, "family": ("qwen3_moe",)},
    )
    learning_rate: float = setting(
        1e-3,
        title="Learning rate",
        help="Peak step size of AdamW; small models bear more.",
        group="Optimizer",
        gt=0,
        le=1,
        scientific=True,
        recommended=(1e-4, 1e-2),
    )
    max_length: int = setting(
        64,
        title="Sequence length",
        help="Tokens in one row of a batch; texts are packed into rows of this length.",
        group="Optimizer",
        unit="tokens",
        ge=8,
        le=10_000_000,
    )
    batch_size: int = setting(
        16, title="Batch size", help="Packed rows in one forward pass.", group="Optimizer", unit="rows", ge=1, le=65_536
    )

    def architecture(self, vocab_size: int) -> Architecture:
        """The network that these settings make with a tokenizer of `vocab_size` tokens."""
        return Architecture(
            vocab_size=vocab_size, **self.model_dump(include=set(Architecture.model_fields) - {"vocab_size"})
        )

    def total_steps(self, rows: int | None = None) -> int | None:
        return self.max_steps  # packing: the rows of an epoch are known only after tokenizing

    @model_validator(mode="after")
    def parts_fit(self) -> PretrainSpec:
        if self.start == "model":
            if not self.model:
                raise cross_field("Choose the model whose training goes on, or start from scratch.", "model")
            return self
        if self.tuning != "full":
            raise cross_field(
                "An adapter needs weights that have learned something: train all weights, or start from a model.",
                "tuning",
                "start",
            )
        if not self.tokenizer:
            raise cross_field(
                "A model from scratch needs a tokenizer: choose one, or train one first (kind “Tokenizer”).",
                "tokenizer",
            )
        if self.hidden_size % self.heads:
            raise cross_field(
                "{heads} heads do not divide the hidden size {hidden_size}: take a divisor such as {good}.",
                "heads",
                heads=self.heads,
                hidden_size=self.hidden_size,
                good=max(h for h in range(1, self.heads + 1) if self.hidden_size % h == 0),
            )
        if (self.hidden_size // self.heads) % 2:
            raise cross_field(
                "Hidden size {hidden_size} with {heads} heads gives heads of odd width {width}; "
                "rotary positions need an even one.",
                "heads",
                hidden_size=self.hidden_size,
                heads=self.heads,
                width=self.hidden_size // self.heads,
            )
        if self.heads % self.kv_heads:
            raise cross_field(
                "{kv_heads} KV heads do not divide the {heads} heads.",
                "kv_heads",
                kv_heads=self.kv_heads,
                heads=self.heads,
            )
        if self.max_length > self.context_length:
            raise cross_field(
                "Sequences of {max_length} tokens are longer than the model's context of {context_length}.",
                "max_length",
                max_length=self.max_length,
                context_length=self.context_length,
            )
        if self.family == "qwen3_moe" and self.experts_per_token > self.experts:
            raise cross_field(
                "{experts_per_token} experts a token are more than the {experts} there are.",
                "experts_per_token",
                experts_per_token=self.experts_per_token,
                experts=self.experts,
            )
        return self


ALGORITHM = Algorithm(
    name="pretrain",
    title="Pretrain",
    summary="Teach a model the language of plain texts, from scratch or further from where it is.",
    icon="menu_book",
    role="train",
    learns_from="texts",
    spec=PretrainSpec,
    program="train",
    metrics=("loss", "grad_norm", "learning_rate", "mean_token_accuracy"),
    dataset_format="pretrain",
    order=20,
)
