"""Rows of a dataset as the parquet files that verl reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from platform_core.errors import Problem
from runners.engines.hf.conversation import IGNORED
from runners.engines.hf.data import encode, need_chat_template

EXTRA = [("number", pyarrow.int64()), ("prompt", pyarrow.string()), ("row", pyarrow.string())]
PROMPTS = pyarrow.schema(
    [
        ("data_source", pyarrow.string()),
        ("prompt", pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))),
        ("reward_model", pyarrow.struct([("style", pyarrow.string()), ("ground_truth", pyarrow.string())])),
        ("extra_info", pyarrow.struct([("index", pyarrow.int64()), *EXTRA])),
    ]
)


def write_examples(path: Path, input_ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> None:
    """SFT: ids and the mask of trained tokens. The first token is predicted by nothing and carries no loss."""
    masks = [[0, *(int(label != IGNORED) for label in row[1:])] for row in labels]
    ids = pyarrow.array(input_ids, pyarrow.list_(pyarrow.int32()))
    mask = pyarrow.array(masks, pyarrow.list_(pyarrow.int8()))
    pyarrow.parquet.write_table(pyarrow.table({"input_ids": ids, "loss_mask": mask}), path)


def write_prompts(path: Path, rows: Sequence[dict[str, Any]], source: str, whole: bool = False) -> None:
    """Reinforcement learning: prompts as messages, with the answer that the reward checks; `whole`: and the row."""
    written = [
        {
            "data_source": source,
            "prompt": as_messages(row["prompt"]),
            "reward_model": {"style": "rule", "ground_truth": row["answer"]},
            "extra_info": {
                "index": at,
                "number": row.get("number"),
                "prompt": as_text(row["prompt"]),
                "row": json.dumps(row.get("row"), ensure_ascii=False, default=str) if whole else None,
            },
        }
        for at, row in enumerate(rows)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(written, PROMPTS), path)


def as_messages(prompt: Any) -> list[dict[str, str]]:
    """A text as the one turn of a chat, which a plain template turns back into the text."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in prompt]


def as_text(prompt: Any) -> str:
    """A prompt for a reward to read: of a chat, its last turn."""
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"]) if prompt else ""


def is_plain(rows: Sequence[dict[str, Any]], file: str) -> bool:
    """Whether prompts are texts; raises Problem for texts and chats in one file, which verl reads with one template."""
    texts = sum(isinstance(row["prompt"], str) for row in rows)
    if texts not in (0, len(rows)):
        raise Problem(
            "{file} holds both texts and chats as prompts: keep one of them, or choose the engine hf.",
            fields=("dataset", "engine"),
            file=file,
        )
    return texts > 0


def longest_prompt(rows: Sequence[dict[str, Any]], tokenizer: Any, file: str) -> int:
    """Tokens of the longest prompt, as verl will count them."""
    if not is_plain(rows, file):
        need_chat_template(tokenizer, file)
        return max(
            len(tokenizer.apply_chat_template(as_messages(row["prompt"]), add_generation_prompt=True)["input_ids"])
            for row in rows
        )
    return max(map(len, encode([row["prompt"] for row in rows], tokenizer)))
