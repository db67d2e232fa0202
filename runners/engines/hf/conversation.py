"""Conversations as token ids, and which of them the assistant says.

A chat template is a program of whoever made the model: it runs in transformers' sandbox, and here with limits of time
and memory besides.
"""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any, cast

from jinja2 import TemplateError
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.chat_template_utils import get_training_chat_template, has_generation_markers

from platform_core.algorithms.supervised import SupervisedSpec
from platform_core.errors import Problem
from platform_core.models.chat_template import ENDS, READY

IGNORED = -100
"""The label of a token without loss (PyTorch's cross-entropy default)."""
RENDER_SECONDS = 10
RENDER_BYTES = 2 << 30
PROBE = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "<think>\nb\n</think>\n\nc"},
    {"role": "user", "content": "d"},
    {"role": "assistant", "content": "<think>\ne\n</think>\n\nf"},
]
"""Two turns with thinking, which many templates leave out of all turns but the last."""
Messages = list[dict[str, Any]]


def use_template(tokenizer: PreTrainedTokenizerBase, spec: SupervisedSpec) -> None:
    """Give the tokenizer the chat template that a spec asks for; it is saved with the tokenizer."""
    if spec.chat_template == "own":
        return
    tokenizer.chat_template = READY.get(spec.chat_template) or spec.chat_template_text
    end = ENDS.get(spec.chat_template)
    if end in tokenizer.get_vocab():
        tokenizer.eos_token = end


def training_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The template to write conversations with, where it is not simply the tokenizer's own.

    A template that writes earlier turns differently once others follow (Qwen3 leaves their thinking out) can't be asked
    where an answer ends; for well-known ones TRL has variants that mark the answers. None: the tokenizer's own will do.
    """
    own = tokenizer.chat_template
    if isinstance(own, str) and has_generation_markers(own):
        return None
    try:
        if all(clean for _, _, clean in _turns(PROBE, tokenizer, None, _ids(PROBE, tokenizer, None))):
            return None
        return cast("str | None", get_training_chat_template(tokenizer))
    except (Problem, ValueError, TypeError):
        return None


@dataclass(frozen=True)
class Spoken:
    """A conversation as ids, with labels on what the assistant says; `lost` counts answers that were not found."""

    ids: list[int]
    labels: list[int]
    lost: int = 0


def spoken(
    messages: Messages,
    tokenizer: PreTrainedTokenizerBase,
    tools: Any = None,
    *,
    last_only: bool = False,
    template: str | None = None,
) -> Spoken:
    """Ids of a conversation and labels on the assistant's turns, or on the last of them.

    Turns are those between the template's generation tags, else found by rendering it up to and after each. `template`:
    what `training_template` gave. Raises Problem when the template breaks.
    """
    text = template or tokenizer.chat_template
    if isinstance(text, str) and has_generation_markers(text):
        rendered = render(messages, tokenizer, tools, template=template, return_assistant_tokens_mask=True)
        ids, said = list(rendered["input_ids"]), rendered["assistant_masks"]
        spans = _runs(said)
        turns, lost = spans, int(not spans)
    else:
        ids = _ids(messages, tokenizer, tools)
        found = list(_turns(messages, tokenizer, tools, ids))
        turns = [(start, end) for start, end, _ in found if start < end]
        lost = sum(not clean or start >= end for start, end, clean in found)
    labels = [IGNORED] * len(ids)
    for start, end in turns[-1:] if last_only else turns:
        labels[start:end] = ids[start:end]
    return Spoken(ids, labels, lost)


def render(
    messages: Messages, tokenizer: PreTrainedTokenizerBase, tools: Any = None, template: str | None = None, **more: Any
) -> Any:
    """What `apply_chat_template` makes of a conversation, within limits; raises Problem with the template's reason."""
    more = {"tokenize": True, "return_dict": True, **more}
    try:
        with limited():
            return tokenizer.apply_chat_template(messages, tools=tools, chat_template=template, **more)
    except (TemplateError, TypeError, AttributeError, KeyError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise Problem(
            "The chat template can't write a conversation of the dataset: {reason}.",
            fields=("chat_template", "dataset"),
            reason=reason,
        ) from error


@contextmanager
def limited() -> Iterator[None]:
    """Ends what takes more than RENDER_SECONDS or another RENDER_BYTES of memory, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Problem(
            "The chat template did not come to an end within {seconds} s: correct it, or choose another.",
            fields=("chat_template",),
            seconds=RENDER_SECONDS,
        )

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm")
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, RENDER_SECONDS)
    try:
        if pages.exists():
            most = int(pages.read_text().split()[0]) * resource.getpagesize() + RENDER_BYTES
            resource.setrlimit(resource.RLIMIT_AS, (most if soft < 0 else min(most, soft), hard))
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def common_prefix(a: list[int], b: list[int]) -> int:
    """Number of leading ids that two lists share."""
    for at, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return at
    return min(len(a), len(b))


def _ids(messages: Messages, tokenizer: PreTrainedTokenizerBase, tools: Any, **more: Any) -> list[int]:
    return list(render(messages, tokenizer, tools, **more)["input_ids"]) if messages else []


def _turns(
    messages: Messages, tokenizer: PreTrainedTokenizerBase, tools: Any, whole: list[int]
) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each assistant's turn in the ids, and whether the template writes it the same from there on."""
    for at, message in enumerate(messages):
        if message["role"] == "assistant":
            asked = _ids(messages[:at], tokenizer, tools, add_generation_prompt=True)
            said = _ids(messages[: at + 1], tokenizer, tools)
            end = common_prefix(said, whole)
            yield common_prefix(asked, whole), end, end >= len(said) - 1


def _runs(mask: list[int]) -> list[tuple[int, int]]:
    """Start and end of each run of ones."""
    found, at = [], 0
    for value, group in groupby(mask):
        length = len(list(group))
        if value:
            found.append((at, at + length))
        at += length
    return found
