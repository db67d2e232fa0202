"""Exact match: take the answer out of a completion, compare it with the reference.

One pure function for training and evaluation.
"""

from __future__ import annotations

import re
from typing import Literal

Extract = Literal["marker", "last_number", "whole"]
EXTRACT_LABELS = {"marker": "After a marker", "last_number": "The last number", "whole": "The whole text"}
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def extract(text: str, how: Extract, marker: str = "#") -> str | None:
    """The answer in a completion, or None when there is none.

    `marker`: what follows the last marker; `last_number`: the last decimal number without thousands commas;
    `whole`: all of it.
    """
    if how == "whole":
        return text.strip()
    if how == "marker":
        return text.rpartition(marker)[2].strip() if marker in text else None
    found = NUMBER.findall(text)
    return found[-1].replace(",", "") if found else None


def exact_match(completion: str, reference: str, how: Extract = "marker", marker: str = "#") -> float:
    """1.0 when the extracted answer equals the reference (read by the same rule where it holds one), else 0.0."""
    answer = extract(completion, how, marker)
    wanted = extract(reference, how, marker)
    return float(answer is not None and answer == (reference.strip() if wanted is None else wanted))
