"""What the pickers of a form offer: the library's models, tokenizers and datasets, and what running jobs will make."""

from __future__ import annotations

from collections.abc import Sequence

from app.sizes import bytes_text, count_text
from app.spec_form import Choice
from app.words import _
from platform_core.algorithms.registry import Algorithm, algorithms
from platform_core.datasets import service as datasets
from platform_core.datasets.formats import FORMATS
from platform_core.datasets.needs import NEEDS, fitting
from platform_core.datasets.report import Report
from platform_core.datasets.service import DatasetInfo
from platform_core.environments.service import environments
from platform_core.errors import Problem
from platform_core.jobs import service as jobs
from platform_core.jobs.spec import Pick, setting_of
from platform_core.jobs.states import ACTIVE, WAITING
from platform_core.models.service import ModelInfo, checkpoints, list_models
from platform_core.models.vocabulary import vocabulary_size
from platform_core.rewards import service as rewards
from platform_core.rewards.kinds.registry import kinds
from platform_core.rewards.presets import PRESETS
from platform_core.rewards.service import RewardInfo
from platform_core.workspace.service import Workspace

SMALL = 4 * 2**20


def choices_for(workspace: Workspace, chosen: Algorithm) -> dict[Pick, Sequence[Choice]]:
    """The entries of every picker that the form of a kind has."""
    picks = {setting_of(field).pick for field in chosen.spec.model_fields.values()}
    offers: dict[Pick, Sequence[Choice]] = {}
    if "model" in picks or "tokenizer" in picks:
        library = list_models(workspace)
        kinds = ("model", "adapter", "reward_model") if chosen.name == "reward_model" else ("model", "adapter")
        models = [m for m in library if m.kind in kinds]
        offers["model"] = [*map(model_choice, models), *coming(workspace, "train"), *saved(workspace)]
        tokenizers = [m for m in library if m.kind == "tokenizer"]
        others = [m for m in models if m.has_tokenizer]
        offers["tokenizer"] = [
            *map(model_choice, tokenizers),
            *coming(workspace, "prepare"),
            *(Choice(m.ref, _("{name} · its tokenizer", name=m.name), fits=False) for m in others),
        ]
    if "reward" in picks:
        offers["reward"] = list(map(reward_choice, rewards.list_rewards(workspace.home)))
    if "dataset" in picks:
        offers["dataset"] = dataset_choices(workspace, chosen.dataset_format)
    if "environment" in picks:
        offers["environment"] = environment_choices(workspace)
    return offers


def environment_choices(workspace: Workspace) -> list[Choice]:
    """Interpreters beside the platform's own, which is the empty choice, with what each can run."""
    found = [one for one in environments(workspace.home) if not one.is_base]
    named = [(one, ", ".join(one.health.engines) or _("runs nothing")) for one in found]
    return [Choice(one.name, f"{one.name} · {runs}", fits=False) for one, runs in named]


def model_choice(model: ModelInfo) -> Choice:
    """A model with its size, a tokenizer with its vocabulary."""
    facts = [model.name]
    if model.parameters:
        facts.append(_("{n} parameters", n=count_text(model.parameters)))
    elif size := vocabulary_size(model.path):
        facts.append(_("{n} tokens", n=count_text(size)))
    fits = model.has_tokenizer and model.kind != "reward_model"
    return Choice(model.ref, " · ".join([*facts, bytes_text(model.size_bytes)]), fits=fits)


def reward_choice(info: RewardInfo) -> Choice:
    """A built-in reward by its title, a saved one by its name and functions."""
    if info.built_in:
        return Choice(info.name, _("{name} · built in", name=_(PRESETS[info.name].title)))
    known = kinds()
    titles = ", ".join(_(known[name].title) for name in info.kinds)
    return Choice(
        info.name, f"{info.name} · {titles}" if titles else _("{name} · can't be read", name=info.name), False
    )


def coming(workspace: Workspace, role: str) -> list[Choice]:
    """Outputs that are still being made; a job that uses one waits for it."""
    kinds = [a.name for a in algorithms().values() if a.role == role and a.makes == "model"]
    found = jobs.list_jobs(workspace, states=[*ACTIVE, *WAITING], kinds=kinds)
    return [Choice(f"job:{j.id}", _("{name} · when it has finished", name=j.name), fits=False) for j in found]


def saved(workspace: Workspace) -> list[Choice]:
    """Checkpoints of the newest jobs, to start from."""
    return [
        Choice(ref, _("{name} · checkpoint of step {step}", name=name, step=f"{step:,}"), fits=False)
        for ref, name, step in checkpoints(workspace)
    ]


def dataset_choices(workspace: Workspace, family: str | None) -> list[Choice]:
    """Datasets by name, those in a fitting format first."""
    made = []
    for info in datasets.list_datasets(workspace.home):
        report = info.report or small_report(workspace, info)
        usable = report is not None and (family is None or fitting(report.guesses, family) is not None)
        facts = [info.name]
        if report is not None:
            facts.append(_("{n} rows", n=count_text(report.rows)))
            if not usable:
                known = FORMATS.get(report.format or "")
                title = _(known.title) if known else _("format not known")
                facts.append(_("not for this: {format}", format=title))
        else:
            facts += [bytes_text(info.size_bytes), _("not checked yet")]
        made.append(Choice(info.name, " · ".join(facts), usable and is_meant_for(report, family)))
    return sorted(made, key=lambda c: not c.fits)


def small_report(workspace: Workspace, info: DatasetInfo) -> Report | None:
    """The report of a dataset that nobody looked into, made now when that takes no time to speak of."""
    try:
        return datasets.report(workspace.home, info.name) if info.size_bytes <= SMALL else None
    except Problem:
        return None


def is_meant_for(report: Report | None, family: str | None) -> bool:
    """Whether rows are in a format that this family prefers, or takes and no other one prefers."""
    if report is None or family is None:
        return family is None
    others = {need.formats[0] for name, need in NEEDS.items() if name != family}
    first, *more = NEEDS[family].formats
    return report.format == first or (report.format in more and report.format not in others)
