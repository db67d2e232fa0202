"""Which learning rates are usual for a model of this size.

Guides give them for models of about a billion parameters. Smaller ones take more: here with the inverse square root of
their size, a rule of thumb that agrees with what tiny models in the demo and the tests learn with. Adapters take ten
times as much (Schulman 2025, "LoRA Without Regret").
"""

from __future__ import annotations

from math import sqrt

from platform_core.algorithms.adapter import AdapterSpec
from platform_core.errors import text
from platform_core.jobs.estimate import shape_of
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import JobSpec, setting_of
from platform_core.workspace.service import Workspace

MEANT_FOR = 1e9
LEAST = 10_000
"""Parameters below which nothing is a language model."""
FOR_ADAPTERS = 10.0
HIGHEST = 0.05


def with_scaled_ranges(workspace: Workspace, spec: JobSpec, findings: list[Finding]) -> list[Finding]:
    """The findings with the ranges of settings that scale told for the model that the spec starts from."""
    scaled = {n: setting_of(f, n) for n, f in type(spec).model_fields.items() if setting_of(f, n).scales}
    shape = shape_of(workspace, spec) if scaled else None
    if shape is None or shape.parameters < LEAST:
        return findings
    factor = scale(shape.parameters, isinstance(spec, AdapterSpec) and spec.tuning != "full")
    kept = [f for f in findings if f.level != "warning" or not set(f.fields) & scaled.keys()]
    for name, setting in scaled.items():
        value = getattr(spec, name)
        if setting.recommended is None or value is None:
            continue
        low, high = (min(HIGHEST, end * factor) for end in setting.recommended)
        ends = {"low": f"{low:.0e}", "high": f"{high:.0e}", "n": size(shape.parameters)}
        if low <= value <= high:
            told = text("usual {low} to {high} for {n} parameters", **ends)
        else:
            told = text(
                "{title} {value} is outside {low} to {high}, usual for {n} parameters.",
                title=setting.title,
                value=f"{value:g}",
                **ends,
            )
        kept.append(Finding("usual" if low <= value <= high else "warning", told, (name,)))
    return kept


def scale(parameters: int, adapter: bool) -> float:
    """By what a learning rate for a billion parameters is multiplied."""
    return max(1.0, sqrt(MEANT_FOR / parameters)) * (FOR_ADAPTERS if adapter else 1.0)


def size(parameters: int) -> str:
    """Two significant digits with a unit: 0.15 M, 7 B."""
    for unit, each in (("B", 1e9), ("M", 1e6)):
        if parameters >= 0.1 * each:
            return f"{parameters / each:.2g} {unit}"
    return f"{parameters / 1e3:.2g} k"
