"""Rows of a dataset for another family of algorithms: pairs as rated answers and back, good answers alone."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

from platform_core.datasets.formats import FORMATS
from platform_core.datasets.needs import as_chat
from platform_core.datasets.readers import Converted
from platform_core.datasets.samples import Columns, Unusable, Value

Rows = Iterator[Converted]


def _rated(pairs: Iterable[Converted]) -> Rows:
    for pair in pairs:
        for side in ("chosen", "rejected"):
            yield {"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"}


def _chosen(pairs: Iterable[Converted]) -> Rows:
    for pair in pairs:
        yield _answered(pair["prompt"], pair["chosen"])


def _good(rated: Iterable[Converted]) -> Rows:
    for row in rated:
        if row["label"]:
            yield _answered(row["prompt"], row["response"])


def _paired(rated: Iterable[Converted]) -> Rows:
    """Each good answer with a bad one to the same prompt, in the file's order; who finds no partner is left out."""
    waiting: dict[tuple[str, bool], deque[Converted]] = defaultdict(deque)
    for row in rated:
        prompt = json.dumps(row["prompt"], sort_keys=True)
        others = waiting[prompt, not row["label"]]
        while others and others[0]["response"] == row["response"]:
            others.popleft()
        if not others:
            waiting[prompt, row["label"]].append(row)
            continue
        good, bad = (row, others.popleft()) if row["label"] else (others.popleft(), row)
        yield {"prompt": row["prompt"], "chosen": good["response"], "rejected": bad["response"]}


def _answered(prompt: object, answer: object) -> Converted:
    row = {"prompt": prompt, "completion": answer}
    return row if isinstance(prompt, str) and isinstance(answer, str) else as_chat(row)


def converted(values: Iterable[Value], source: str, to: str, columns: Columns | None = None) -> Rows:
    """Rows for the family `to` from rows in the format `source`; faulty ones are left out. Raises KeyError for a
    conversion that `needs.COPIED` does not name.
    """
    make = (
        {"kto": _rated, "sft": _chosen} if source != "kto" else {"sft": _good, "dpo": _paired, "reward_model": _paired}
    )

    def parts() -> Rows:
        for value in values:
            try:
                yield FORMATS[source].read(value, columns)
            except Unusable:
                continue

    return make[to](parts())
