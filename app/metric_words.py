"""What the page calls metrics, in the session's language, and in which families it shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.words import say
from platform_core.algorithms.registry import algorithms
from platform_core.errors import text
from platform_core.metrics.meanings import MEANINGS, MEASURED
from platform_core.metrics.meanings import title as meaning_title

FAMILIES = {
    "Main": text("Main"),
    "Validation": text("Validation"),
    "Speed": text("Speed"),
    "Other": text("Other"),
    "All": text("All"),
}
SPEED = ("tokens_per_second", "samples_per_second", "step_time", "num_tokens", "epoch")


def title(metric: str) -> str:
    """What a metric is called on the page."""
    return say(meaning_title(metric))


def hint(metric: str) -> str:
    """Its own name, and what it means where that is known."""
    meaning = MEANINGS.get(metric.removeprefix(MEASURED))
    return metric if meaning is None else f"{metric}: {say(meaning.hint)}"


def unit(metric: str) -> str:
    """The unit of a metric; empty where it has none."""
    meaning = MEANINGS.get(metric.removeprefix(MEASURED))
    return meaning.unit if meaning is not None else ""


def main_metrics(kind: str, names: Iterable[str]) -> list[str]:
    """The metrics that matter for a kind of job, as far as they have values, in the kind's own order."""
    known = algorithms().get(kind)
    there = set(names)
    return [name for name in (known.metrics if known else ()) if name in there]


def families(kind: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Metrics by family: what matters for the kind, then validation, one family for each prefix, speed, the rest."""
    main = main_metrics(kind, names)
    found = {"Main": main}
    for name in (name for name in names if name not in main):
        prefix, slash, _rest = name.partition("/")
        family = prefix if slash and prefix else "Speed" if name in SPEED else "Other"
        found.setdefault("Validation" if name.startswith(MEASURED) else family, []).append(name)
    order = {f"{MEASURED}{name}": at for at, name in enumerate(main)}
    found.get("Validation", []).sort(key=lambda name: order.get(name, len(order)))
    made = {family: metrics for family, metrics in found.items() if metrics}
    return {**made, "All": list(names)} if len(made) > 1 else made


def family_title(family: str) -> str:
    """What a family is called on the page; a prefix has no other name."""
    return say(FAMILIES[family]) if family in FAMILIES else family
