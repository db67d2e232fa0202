"""Rows that the runner has tokenized as the hf engine does, for verl's SFT trainer (`data.custom_cls`).

verl's own dataset renders each turn of a chat by itself, which is not what many templates write for the whole chat.
"""

from __future__ import annotations

from typing import Any

import pyarrow.parquet
import torch
from torch.utils.data import Dataset


class TokenRows(Dataset):  # type: ignore[misc]
    """Ids and the mask of trained tokens from parquet, unpadded; the signature is that of verl's own datasets."""

    def __init__(
        self, parquet_files: Any, tokenizer: Any, config: Any, processor: Any = None, max_samples: int = -1
    ) -> None:
        files = [parquet_files] if isinstance(parquet_files, str) else list(parquet_files)
        table = pyarrow.concat_tables(pyarrow.parquet.read_table(file) for file in files)
        self.ids, self.masks = table["input_ids"], table["loss_mask"]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        ids = torch.tensor(self.ids[at].as_py(), dtype=torch.long)
        mask = torch.tensor(self.masks[at].as_py(), dtype=torch.long)
        return {"input_ids": ids, "position_ids": torch.arange(len(ids)), "loss_mask": mask}
