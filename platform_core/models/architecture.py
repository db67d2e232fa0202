"""New models from scratch: what can be chosen, what fits together, and how many parameters it makes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

Family = Literal["llama", "qwen2", "qwen3", "qwen3_moe"]
FAMILIES: dict[str, str] = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3", "qwen3_moe": "Qwen3-MoE"}


class Architecture(BaseModel):
    """A decoder-only transformer: sizes in units, `context_length` in tokens."""

    family: Family
    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    intermediate_size: int
    context_length: int
    tie_embeddings: bool = True
    experts: int = 8
    experts_per_token: int = 2
    moe_intermediate_size: int = 64

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.heads


def parameter_count(a: Architecture) -> int:
    """Exact number of parameters as transformers 5.10 builds them (LlamaForCausalLM, Qwen2…, Qwen3…, Qwen3Moe…)."""
    q, kv = a.heads * a.head_dim, a.kv_heads * a.head_dim
    attention = a.hidden_size * (2 * q + 2 * kv)
    if a.family == "qwen2":
        attention += q + 2 * kv
    if a.family in ("qwen3", "qwen3_moe"):
        attention += 2 * a.head_dim
    if a.family == "qwen3_moe":
        mlp = a.experts * 3 * a.hidden_size * a.moe_intermediate_size + a.hidden_size * a.experts
    else:
        mlp = 3 * a.hidden_size * a.intermediate_size
    embeddings = a.vocab_size * a.hidden_size * (1 if a.tie_embeddings else 2)
    return embeddings + a.layers * (attention + mlp + 2 * a.hidden_size) + a.hidden_size


def training_bytes(parameters: int, dtype_bytes: int = 4) -> int:
    """Weights, gradients and AdamW's two float32 moments, without activations."""
    return parameters * (2 * dtype_bytes + 8)
