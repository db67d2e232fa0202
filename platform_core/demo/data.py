"""The demo's data: sums of two numbers below 100, as texts, answers to learn, prompts to try and test questions."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

from platform_core.files import write_whole

Pair = tuple[int, int]
Row = Mapping[str, object]

SPLIT_SEED = 1234
HELD_OUT = 500
PRETRAIN_TEXTS = 4_000
SFT_ROWS = 32_000
DIRECT_SHARE = 0.3
GRPO_PROMPTS = 2_000

NAMES = ("Ann", "Bob", "Cem", "Dia", "Eve", "Finn")
THINGS = ("apples", "books", "coins", "cards", "pens", "shells")


def split_pairs() -> tuple[list[Pair], list[Pair]]:
    """All 10,000 sums as (for training, held out); the split is the same for every seed."""
    pairs = [(a, b) for a in range(100) for b in range(100)]
    random.Random(SPLIT_SEED).shuffle(pairs)
    return pairs[HELD_OUT:], pairs[:HELD_OUT]


def prompt(a: int, b: int) -> str:
    return f"{a}+{b}="


def step_by_step(a: int, b: int) -> str:
    """The ones, then the tens with the carry, then the answer after a `#`."""
    ones = a % 10 + b % 10
    carry = ones // 10
    return f"{a % 10}+{b % 10}={ones} {a // 10}+{b // 10}+{carry}={a // 10 + b // 10 + carry} #{a + b}"


def direct(a: int, b: int) -> str:
    return f"#{a + b}"


def pretrain_rows(seed: int) -> Iterator[Row]:
    """Word problems and equations as plain texts."""
    pairs, rng = split_pairs()[0], random.Random(seed)
    for _ in range(PRETRAIN_TEXTS):
        a, b = rng.choice(pairs)
        who, what = rng.choice(NAMES), rng.choice(THINGS)
        sentence = (
            f"{who} has {a} {what} and gets {b} more. Now {who} has {a + b} {what}.",
            f"There are {a} {what} in one box and {b} {what} in another. Together there are {a + b} {what}.",
            f"{a}+{b}={a + b}",
            f"{a} plus {b} equals {a + b}.",
        )
        yield {"text": rng.choice(sentence)}


def sft_rows(seed: int) -> Iterator[Row]:
    """Sums in two styles, every pair once before any pair twice.

    The mix is what lets GRPO improve: answers without steps are often wrong, so that the reward has a style to prefer.
    """
    pairs, rng = split_pairs()[0], random.Random(seed)
    for at in range(SFT_ROWS):
        if at % len(pairs) == 0:
            pairs = rng.sample(pairs, len(pairs))
        a, b = pairs[at % len(pairs)]
        answer = direct if rng.random() < DIRECT_SHARE else step_by_step
        yield {"prompt": prompt(a, b), "completion": answer(a, b)}


def grpo_rows(seed: int) -> Iterator[Row]:
    """Prompts with the answer that the reward checks."""
    for a, b in random.Random(seed).sample(split_pairs()[0], GRPO_PROMPTS):
        yield {"prompt": prompt(a, b), "answer": str(a + b)}


def held_out_rows(seed: int) -> Iterator[Row]:
    """Sums that no other file holds; the same for every seed."""
    for a, b in split_pairs()[1]:
        carries = a % 10 + b % 10 >= 10
        yield {
            "prompt": prompt(a, b),
            "reference": str(a + b),
            "category": "with carry" if carries else "without carry",
        }


ROWS = {"pretrain": pretrain_rows, "sft": sft_rows, "grpo": grpo_rows, "heldout": held_out_rows}


def write_datasets(home: Path, seed: int) -> dict[str, str]:
    """Write the four files into `<home>/datasets`; their names by role. One with the same content is left alone."""
    names = {}
    for role, rows in ROWS.items():
        names[role] = f"demo-{role}-seed{seed}.jsonl"
        path = home / "datasets" / names[role]
        content = "".join(json.dumps(row) + "\n" for row in rows(seed)).encode()
        if not (path.is_file() and path.read_bytes() == content):
            write_whole(path, content)
    return names
