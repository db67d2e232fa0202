"""What each family of algorithms takes, and rows converted to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any

from platform_core.datasets.formats import FORMATS, Guess, check_columns, detect
from platform_core.datasets.read import Rows
from platform_core.datasets.readers import Converted
from platform_core.datasets.rows import MEGABYTE, Problems, rough_bytes
from platform_core.datasets.samples import Columns, Unusable, Value, turns
from platform_core.errors import Problem, Text

LOOKED_AT = 1000
LOOKED_AT_BYTES = 32 * MEGABYTE


@dataclass(frozen=True)
class Need:
    """Formats that a family of algorithms takes, the preferred first, and the words for it."""

    title: str
    takes: str
    formats: tuple[str, ...]


NEEDS: dict[str, Need] = {
    "pretrain": Need("Pretraining", "plain texts", ("pretrain",)),
    "sft": Need("SFT", "a prompt and a response, or chats", ("prompt_response", "alpaca", "chatml", "sharegpt")),
    "distill": Need(
        "Distillation",
        "prompts, with or without answers",
        ("prompt_response", "alpaca", "chatml", "sharegpt", "grpo", "evaluation", "prompt_only"),
    ),
    "grpo": Need("GRPO", "a prompt and an answer that can be checked", ("grpo", "evaluation", "prompt_response")),
    "evaluation": Need("Evaluation", "a prompt and a reference answer", ("evaluation", "grpo", "prompt_response")),
    "dpo": Need("DPO", "a prompt with a chosen and a rejected answer", ("dpo", "hh_transcript")),
    "kto": Need("KTO", "a prompt, an answer and whether it is good", ("kto",)),
    "reward_model": Need("Reward model", "a chosen and a rejected answer", ("dpo", "hh_transcript", "reward_pairs")),
}


def convert(name: str, value: Value, to: str, columns: Columns | None = None) -> Converted:
    """A row as the trainer takes it. Raises Unusable when the row is faulty, Problem when its format can't become `to`.

    pretrain: text · sft: prompt and completion (texts), or messages (+ tools, JSON) for chats · distill: prompt, and
    completion or None · grpo: prompt, answer · evaluation: prompt, reference, category or None · dpo: prompt, chosen,
    rejected · kto: prompt, completion, label · reward_model: chosen, rejected and, where it is known, prompt. A chat
    side stays a list of messages.
    """
    if name not in NEEDS[to].formats:
        raise Problem(
            "{format} can't be used for {family}.", format=Text(FORMATS[name].title), family=Text(NEEDS[to].title)
        )
    return _WRITERS[to](FORMATS[name].read(value, columns))


def _sft(parts: Converted) -> Converted:
    if "messages" in parts:
        return parts
    prompt, response = parts["prompt"], parts["response"]
    if isinstance(prompt, str) and isinstance(response, str):
        return {"prompt": prompt, "completion": response}
    return as_chat({"prompt": prompt, "completion": response})


def as_chat(row: Converted) -> Converted:
    """Prompt and completion as messages."""
    if "messages" in row:
        return row
    return {"messages": turns(row["prompt"], "user") + turns(row["completion"], "assistant")}


def _distill(parts: Converted) -> Converted:
    if "messages" in parts:
        chat = parts["messages"]
        last = max(at for at, message in enumerate(chat) if message["role"] == "assistant")
        if not last:
            raise Unusable("has no message before the assistant's answer")
        return {"prompt": chat[:last], "completion": chat[last]["content"] or None}
    return {"prompt": parts["prompt"], "completion": _text_of(parts.get("response"))}


def _text_of(side: str | list[dict[str, Any]] | None) -> str | None:
    return side[-1]["content"] if isinstance(side, list) else side


def _answer(parts: Converted) -> str:
    found = next(parts[key] for key in ("answer", "reference", "response") if key in parts)
    if not isinstance(found, str):
        raise Unusable("has messages where an answer as text is needed")
    return found


def _grpo(parts: Converted) -> Converted:
    return {"prompt": parts["prompt"], "answer": _answer(parts)}


def _evaluation(parts: Converted) -> Converted:
    return {"prompt": parts["prompt"], "reference": _answer(parts), "category": parts.get("category")}


def _kto(parts: Converted) -> Converted:
    return {"prompt": parts["prompt"], "completion": parts["response"], "label": parts["label"]}


def _unchanged(parts: Converted) -> Converted:
    return parts


_WRITERS: dict[str, Callable[[Converted], Converted]] = {
    "pretrain": _unchanged,
    "sft": _sft,
    "distill": _distill,
    "grpo": _grpo,
    "evaluation": _evaluation,
    "dpo": _unchanged,
    "kto": _kto,
    "reward_model": _unchanged,
}


def fitting(guesses: Iterable[Guess], to: str, columns: Columns | None = None) -> str | None:
    """The format to read the rows in for `to`: with mapped columns the one that has these parts, else the best guess
    that at least half of the rows have.
    """
    formats = NEEDS[to].formats
    if columns:
        return next((name for name in formats if set(columns) <= set(FORMATS[name].parts)), None)
    return next((guess.format for guess in guesses if guess.format in formats and guess.share >= 0.5), None)


COPIED = {
    **dict.fromkeys(("dpo", "hh_transcript"), ("kto", "sft")),
    "kto": ("dpo", "reward_model", "sft"),
}
"""Format of rows → families for which `convert.py` makes a copy of them."""


def offered(guesses: Iterable[Guess]) -> list[str]:
    """Families that can't take a dataset as it is, but a copy of it; none for rows that are not known well enough."""
    known = list(guesses)
    best = known[0].format if known and known[0].share >= 0.5 else ""
    return [to for to in COPIED.get(best, ()) if fitting(known, to) is None]


def misfit(file: str, guesses: list[Guess], fields: Iterable[str], to: str, asker: Text | None = None) -> Problem:
    """The sentence for a dataset that `to`, or an `asker` that takes the same, can't use. A copy is for the family."""
    family, takes = Text(NEEDS[to].title), Text(NEEDS[to].takes)
    if to in offered(guesses):
        return Problem(
            "{file} holds {holds}; {family} needs {takes}. Make a copy for {family} on the dataset's page, or by "
            "`lathe data convert {file} --for {to}`.",
            fields=("dataset",),
            file=file,
            holds=Text(FORMATS[guesses[0].format].holds),
            family=family,
            takes=takes,
            to=to,
        )
    family = asker or family
    if guesses:
        return Problem(
            "{file} holds {holds}; {family} needs {takes}. Rename its fields or pick another dataset.",
            fields=("dataset",),
            file=file,
            holds=Text(FORMATS[guesses[0].format].holds),
            family=family,
            takes=takes,
        )
    names = ", ".join(f"`{name}`" for name in list(fields)[:8])
    return Problem(
        "The fields of {file} ({names}) belong to no known format; {family} needs {takes}. Rename them or pick "
        "another dataset.",
        fields=("dataset",),
        file=file,
        names=names,
        family=family,
        takes=takes,
    )


def first_values(rows: Iterator[Value], most: int = LOOKED_AT) -> list[Value]:
    """The first rows, as many as fit into a bounded memory."""
    found: list[Value] = []
    weight = 0
    for value in islice(rows, most):
        found.append(value)
        weight += rough_bytes(value)
        if weight > LOOKED_AT_BYTES:
            break
    return found


class TrainingRows(Iterator[Converted]):
    """Converted rows of a dataset; counts what it had to leave out. `number` and `value` are of the row given last.

    `format` is the format it reads, `skipped` the number of faulty rows passed over so far. If any of the first rows is
    a chat, all rows come as messages, since a trainer can't mix both.
    """

    def __init__(self, path: Path, to: str, limit: int | None = None, columns: Columns | None = None) -> None:
        self._source = Rows(path)
        self._numbers: deque[int] = deque()
        values = self._counted()
        head = first_values(values)
        guesses = detect(head)
        name = fitting(guesses, to, columns)
        if name is None:
            self.close()
            if not head and self._source.problems.total:
                worst = self._source.problems.first[0]
                raise Problem(
                    "No row of {file} can be read; row {row} {reason}.",
                    file=path.name,
                    row=worst.row,
                    reason=worst.reason,
                )
            raise misfit(path.name, guesses, head[0] if head else (), to)
        check_columns(name, columns)
        self.format, self.to, self.columns = name, to, columns
        self._unfit = Problems()
        self._values = chain(head, values)
        self._left = limit
        self.number, self.value = 0, head[0] if head else {}
        self._chat = to == "sft" and any("messages" in row for row in self._usable(head))

    def _counted(self) -> Iterator[Value]:
        for row in self._source:
            self._numbers.append(row.number)
            yield row.value

    def _usable(self, values: Iterable[Value]) -> Iterator[Converted]:
        for value in values:
            try:
                yield convert(self.format, value, self.to, self.columns)
            except Unusable:
                continue

    @property
    def skipped(self) -> int:
        return self._unfit.total + self._source.problems.total

    def __next__(self) -> Converted:
        if self._left is not None and self._left <= 0:
            self.close()
            raise StopIteration
        while True:
            value = next(self._values)
            self.number, self.value = self._numbers.popleft(), value
            try:
                row = convert(self.format, value, self.to, self.columns)
                if self.to == "sft" and not self._chat and "messages" in row:
                    raise Unusable("is a chat, unlike the rows before it")
            except Unusable as error:
                self._unfit.count(error.text)
                continue
            if self._left is not None:
                self._left -= 1
            return as_chat(row) if self._chat else row

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> TrainingRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def training_rows(path: Path, to: str, limit: int | None = None, columns: Columns | None = None) -> TrainingRows:
    """Rows of a dataset as the family `to` takes them; faulty rows are left out and counted. Raises Problem at once
    when the dataset does not fit or can't be read.
    """
    return TrainingRows(path, to, limit, columns)
