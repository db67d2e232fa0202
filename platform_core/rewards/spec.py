"""A reward: a weighted sum of functions, as a Pydantic class and as YAML both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator, model_validator

from platform_core.errors import Problem, Text
from platform_core.jobs.document import load_yaml
from platform_core.jobs.messages import Finding, explain, outside_recommended
from platform_core.jobs.spec import is_shown, setting, setting_of
from platform_core.rewards.function import RewardFunction, check_range, clip_high_field, clip_low_field
from platform_core.rewards.kinds.registry import kind, kinds

MOST_FUNCTIONS = 16


class RewardSettings(BaseModel):
    """What a reward says about all of its functions; its clip is that of their sum."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())
    answer_field: str | None = setting(
        None,
        title="Answer field",
        help="The field of a dataset row that holds what answers are compared with. Empty: the dataset's answer.",
        min_length=1,
        max_length=200,
    )
    on_error: Literal["zero", "stop"] = setting(
        "zero",
        title="When an answer can't be scored",
        help="Its reward is 0 and the training goes on, or the training stops with a sentence that names the row.",
        labels={"zero": "Reward 0", "stop": "Stop"},
    )
    clip_low: float | None = clip_low_field()
    clip_high: float | None = clip_high_field()

    @model_validator(mode="after")
    def clip_is_a_range(self) -> RewardSettings:
        check_range(self.clip_low, self.clip_high)
        return self


class Reward(RewardSettings):
    """The sum of its functions' values, each times its weight."""

    functions: list[RewardFunction] = Field(min_length=1, max_length=MOST_FUNCTIONS)

    @field_validator("functions", mode="before")
    @classmethod
    def functions_by_kind(cls, value: object) -> object:
        return [_function(entry) for entry in value] if isinstance(value, list) else value

    @field_serializer("functions")
    def functions_with_kind(self, functions: list[RewardFunction]) -> list[dict[str, Any]]:
        return [function_values(function) for function in functions]

    @property
    def names(self) -> list[str]:
        """One name a function: its kind, numbered from the second of a kind on."""
        found: list[str] = []
        for function in self.functions:
            again = sum(f.kind == function.kind for f in self.functions[: len(found)])
            found.append(f"{function.kind}_{again + 1}" if again else function.kind)
        return found

    @property
    def needs_row(self) -> bool:
        """Whether it looks at fields of a row beyond prompt and answer."""
        return any(kind(f.kind).needs_row for f in self.functions)

    @property
    def columns(self) -> dict[str, str] | None:
        """Which field of a dataset plays the answer, where the reward says so."""
        return {"answer": self.answer_field} if self.answer_field else None


def models_of(reward: Reward) -> dict[str, str]:
    """Name of a function → the reward model it asks."""
    names = zip(reward.names, reward.functions, strict=True)
    return {name: str(getattr(f, "model", "")) for name, f in names if kind(f.kind).where == "model"}


def function_values(function: RewardFunction) -> dict[str, Any]:
    """A function's kind and those of its settings that matter."""
    values = function.model_dump(mode="json")
    made = {name: setting_of(field, name) for name, field in type(function).model_fields.items()}
    return {
        "kind": function.kind,
        **{name: value for name, value in values.items() if value is not None and is_shown(made[name], values)},
    }


def read_reward(text: str) -> Reward:
    """A reward from YAML; raises Problem naming the function and the setting that is wrong."""
    values = load_yaml(text)
    if not isinstance(values, dict):
        raise Problem("This YAML holds no reward: begin with `functions:` and a list under it.")
    reward, findings = judge_reward(values)
    if reward is None:
        raise Problem.of(next(f.text for f in findings if f.level != "warning"))
    return reward


def write_reward(reward: Reward) -> str:
    """A reward as YAML; what is empty is left out."""
    values = reward.model_dump(mode="json", exclude_none=True)
    values = {"functions": values.pop("functions"), **values}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def judge_reward(values: Mapping[str, Any]) -> tuple[Reward | None, list[Finding]]:
    """The reward, or None with what is wrong; findings about a function name it and its place."""
    findings: list[Finding] = []
    functions = values.get("functions")
    for number, entry in enumerate(functions if isinstance(functions, list) else [], start=1):
        findings += [_in_function(f, number, entry) for f in judge_function(entry)[1]]
    if any(f.level != "warning" for f in findings):
        return None, findings
    try:
        return Reward.model_validate(dict(values)), findings
    except ValidationError as error:
        if not functions:
            said = Text("A reward needs at least one function: {known}.", {"known": ", ".join(kinds())})
            return None, [*findings, Finding("error", said, ("functions",))]
        return None, [*findings, *explain(Reward, error)]


def judge_function(entry: object) -> tuple[RewardFunction | None, list[Finding]]:
    """One function of a reward, or None with what is wrong."""
    try:
        function = _function(entry)
    except Problem as problem:
        return None, [Finding("error", problem.text, ("kind",))]
    except ValidationError as error:
        return None, explain(kind(str(_mapping(entry)["kind"])).spec, error)
    return function, outside_recommended(function)


def _in_function(finding: Finding, number: int, entry: object) -> Finding:
    name = str(entry.get("kind")) if isinstance(entry, dict) else "?"
    said = Text("Function {n} ({kind}): {what}", {"n": number, "kind": name[:40], "what": finding.text})
    return Finding(finding.level, said, ("functions",))


def _function(entry: object) -> RewardFunction:
    if isinstance(entry, RewardFunction):
        return entry
    values = _mapping(entry)
    return kind(str(values["kind"])).spec.model_validate({k: v for k, v in values.items() if k != "kind"})


def _mapping(entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict) or "kind" not in entry:
        raise Problem("Each function of a reward has a `kind`, one of {known}.", known=", ".join(kinds()))
    return entry
