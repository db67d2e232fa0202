"""Which tokens of an answer are its reasoning."""

from __future__ import annotations

import re
from itertools import groupby

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from platform_core.algorithms.distill_reasoning import ReasoningSpec
from platform_core.errors import Problem
from runners.engines.hf.conversation import IGNORED


def reasoning_marks(
    text: str,
    ids: list[int],
    labels: list[int],
    tokenizer: PreTrainedTokenizerBase,
    tags: tuple[str, str],
    *,
    chat: bool = False,
) -> list[float]:
    """1 for each token with loss that stands between the tags, or is of them, else 0.

    `text` is what became `ids`; `chat`: by a chat template, which writes special tokens itself. Reasoning without an
    end goes on to the end of the answer; one may also begin where the prompt ends with the tag. Raises Problem for a
    tokenizer that can't say where its tokens stand.
    """
    encoded = tokenizer(text, add_special_tokens=not chat, return_offsets_mapping=True) if tokenizer.is_fast else {}
    if encoded.get("input_ids") != ids:
        raise Problem(
            "This tokenizer does not say where its tokens stand in a text, so that reasoning can't be weighed: "
            "set its weight to 1.",
            fields=("reasoning_weight",),
        )
    begin, end = tags
    between = re.compile(f"{re.escape(begin)}.*?(?:{re.escape(end)}|$)", re.DOTALL)
    places: list[tuple[int, int]] = encoded["offset_mapping"]
    marks, at = [0.0] * len(ids), 0
    for learned, group in groupby(label != IGNORED for label in labels):
        first, at = at, at + len(list(group))
        if not learned:
            continue
        start, stop = places[first][0], places[at - 1][1]
        said, before = text[start:stop], 0
        if text[:start].rstrip().endswith(begin):  # the prompt has begun the reasoning
            said, before = begin + said, len(begin)
        spans = [(start + m.start() - before, start + m.end() - before) for m in between.finditer(said)]
        for token in range(first, at):
            left, right = places[token]
            marks[token] = float(any(left < b and right > a for a, b in spans))
    return marks


def weighs(spec: object) -> ReasoningSpec | None:
    """The spec, where it weighs reasoning apart."""
    return spec if isinstance(spec, ReasoningSpec) and spec.reasoning_weight != 1 else None
