"""Several short rows in one of the full length, and the proof that a model keeps them apart.

TRL joins all rows of a packed batch to a single one, as FlashAttention wants it. PyTorch's own attention would pay for
that with the square of the batch, so here a packed row stays a row: its positions begin anew with each text, from which
transformers makes a mask that is a block for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from trl.data_utils import pack_dataset

from platform_core.errors import Problem
from runners.engines.hf.conversation import IGNORED

STRATEGIES = {"best_fit": "bfd", "wrapped": "wrapped"}
PROBED = 32
"""Tokens of each of two rows with which a model is tried."""


def pack(data: Dataset, length: int, how: str) -> Dataset:
    """Rows packed to `length` tokens (TRL's `pack_dataset` over the whole dataset), those without loss left out.

    `how`: `best_fit` keeps rows whole, the column `seq_lengths` says how long each is; `wrapped` cuts a running text.
    """
    packed = pack_dataset(data, length, STRATEGIES[how], {"batch_size": len(data)})
    return packed.filter(lambda row: any(label != IGNORED for label in row["labels"][1:]))


@dataclass
class Collator:
    """Packed rows to a batch: every text has positions of its own and no loss on its first token, which nothing
    predicts. Columns beside ids and labels, such as weights of the loss, are padded with zeros."""

    pad_token_id: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        lengths = [row.get("seq_lengths") or [len(row["input_ids"])] for row in rows]
        most = max(map(sum, lengths))
        batch = {"input_ids": self.pad_token_id, "labels": IGNORED} | {
            name: 0.0 for name in rows[0] if name not in ("input_ids", "labels", "seq_lengths")
        }
        made = {
            name: torch.tensor([list(row[name]) + [filler] * (most - len(row[name])) for row in rows])
            for name, filler in batch.items()
        }
        # Each token of padding is a text of its own behind the others.
        parts = [[torch.arange(n) for n in row] + [torch.zeros(most - sum(row), dtype=torch.long)] for row in lengths]
        made["position_ids"] = torch.stack([torch.cat(row) for row in parts])
        made["labels"][made["position_ids"] == 0] = IGNORED
        return made


def need_apart(model: Any, data: Dataset) -> None:
    """Raise Problem when a packed text changes what the model makes of the one behind it.

    Tried with two texts of the dataset: that architectures and attentions honour positions is nowhere promised.
    """
    row = next((r for r in data if len(r.get("seq_lengths") or ()) > 1), None)
    if row is None:
        return
    first, second = row["seq_lengths"][:2]
    cut = min(first, PROBED)
    ahead = row["input_ids"][:cut]
    behind = row["input_ids"][first : first + min(second, PROBED)]
    other = [(token + 1) % model.get_input_embeddings().weight.shape[0] for token in ahead]
    positions = torch.cat([torch.arange(cut), torch.arange(len(behind))])[None]
    was = model.training
    model.eval()
    with torch.no_grad():
        one, two = (
            model(
                input_ids=torch.tensor([before + behind], device=model.device),
                position_ids=positions.to(model.device),
                use_cache=False,
            ).logits[0, cut:]
            for before in (ahead, other)
        )
    model.train(was)
    if not torch.allclose(one, two, rtol=1e-3, atol=1e-4 * float(one.abs().max())):
        raise Problem(
            "This model ({family}) lets packed rows see each other: turn packing off, or pack a running text.",
            fields=("packing",),
            family=model.config.model_type,
        )
