"""What can be asked of a job: one Pydantic class per kind, everything about a setting on its field.

From these classes come the form, the command line, the JSON schema, the validation messages and `docs/reference/`.
Nothing else in the code lists the settings of a kind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

Pick = Literal["model", "tokenizer", "dataset", "reward", "environment"]
ON_GPUS = {"device": ("auto", "cuda", None), "ray_address": ("", None)}
"""Where a job may get GPUs of this host: it does not ask for another device, and no Ray cluster has its own."""


@dataclass(frozen=True)
class Setting:
    """What a form, a command line and the docs know of a field beyond its type and bounds; `lines` a text may have.

    `empty`: what a number that may be left out then is, in a word that stands in its empty field.
    `scales`: whether the recommended range is that of a model of a billion parameters (`platform_core.jobs.usual`).
    """

    title: str
    help: str
    group: str = "Basics"
    unit: str = ""
    advanced: bool = False
    recommended: tuple[float, float] | None = None
    scales: bool = False
    step: float | None = None
    scientific: bool = False
    pick: Pick | None = None
    empty: str = "automatic"
    lines: int = 1
    labels: Mapping[str, str] | None = None
    shown_if: Mapping[str, Sequence[object]] | None = None


def setting(default: Any = ..., *, title: str, help: str, **more: Any) -> Any:
    """A Pydantic field with everything the platform knows about it; keywords of `Setting`, the rest go to `Field`."""
    ours = {k: more.pop(k) for k in list(more) if k in Setting.__dataclass_fields__}
    extra = {k: v for k, v in ours.items() if v not in (None, "", False)}
    return Field(default, title=title, description=help, json_schema_extra={"lathe": extra} if extra else None, **more)


def setting_of(field: FieldInfo, name: str = "") -> Setting:
    """The `Setting` of a field; a field made without `setting()` gets a title from its name."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    ours: Any = extra.get("lathe", {})
    return Setting(title=field.title or name.replace("_", " ").capitalize(), help=field.description or "", **ours)


def cross_field(template: str, *fields: str, **values: object) -> PydanticCustomError:
    """An error of a `model_validator` that belongs beside `fields`."""
    context = {**values, "fields": list(fields), "template": template}
    return PydanticCustomError("cross_field", template, context)


class JobSpec(BaseModel):
    """Settings that every kind of job has."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())

    seed: int = setting(
        0,
        title="Seed",
        help="The same seed, data and machine give the same result.",
        group="Run",
        advanced=True,
        ge=0,
        le=2**31 - 1,
    )
    environment: str | None = setting(
        None,
        title="Environment",
        help="The interpreter that runs the job, by its name. Empty: the platform's own.",
        group="Run",
        advanced=True,
        pick="environment",
        max_length=128,
    )
    cpu_slots: int | None = setting(
        None,
        title="CPU cores",
        help="Cores that the job takes from the queue; it gets as many threads. Empty: half of the machine's.",
        group="Run",
        unit="cores",
        advanced=True,
        ge=1,
        le=1024,
    )
    memory_gib: float | None = setting(
        None,
        title="Memory",
        help="Main memory that the job takes from the queue. Empty: estimated from model and batch.",
        group="Queue",
        unit="GiB",
        advanced=True,
        gt=0,
        le=65_536,
    )
    gpus: int | None = setting(
        None,
        title="GPUs",
        help="GPUs that the job gets for itself. Empty: one where there are any and the job computes on it, else none.",
        group="Queue",
        advanced=True,
        ge=0,
        le=1024,
    )
    gpu_indexes: str | None = setting(
        None,
        title="GPU indexes",
        help="Particular GPUs, as `lathe devices list` numbers them: `0` or `0,2`. The job waits until just these are "
        "free. Empty: the queue chooses.",
        group="Queue",
        advanced=True,
        max_length=200,
        shown_if=ON_GPUS,
    )
    gpu_memory_gib: float | None = setting(
        None,
        title="Memory of each GPU",
        help="What must be free on each GPU before the job starts, whoever uses it. "
        "Empty: estimated from model and batch.",
        group="Queue",
        unit="GiB",
        advanced=True,
        gt=0,
        le=4096,
    )
    time_limit_hours: float | None = setting(
        None,
        title="Time limit",
        empty="none",
        help="Hours of running after which the job is stopped with a checkpoint. Empty: none.",
        group="Queue",
        unit="h",
        advanced=True,
        gt=0,
        le=100_000,
    )
    retries: int = setting(
        2,
        title="Retries",
        help="How often the job is started again by itself after a cause that can pass: killed from outside, out of "
        "memory, reboot, a full disk. It goes on from its last whole checkpoint.",
        group="Queue",
        advanced=True,
        ge=0,
        le=100,
    )
    retry_wait_seconds: float = setting(
        10.0,
        title="Wait before a retry",
        help="Doubled with each further retry, up to an hour.",
        group="Queue",
        unit="s",
        advanced=True,
        ge=0,
        le=3600,
    )

    def total_steps(self, rows: int | None = None) -> int | None:
        """Steps that the job will take, as far as the settings (and the rows of its dataset) tell."""
        return None

    @property
    def chosen_gpus(self) -> tuple[int, ...]:
        """The indexes of the GPUs that it shall get, in order; empty when the queue chooses."""
        if not self.gpu_indexes or not is_shown(setting_of(type(self).model_fields["gpu_indexes"]), dict(self)):
            return ()
        return tuple(int(index) for index in self.gpu_indexes.split(","))

    @property
    def gpu_count(self) -> int | None:
        """GPUs that it asks for; None when that is left open."""
        return len(self.chosen_gpus) or self.gpus

    @field_validator("gpu_indexes", mode="before")
    @classmethod
    def indexes_are_numbers(cls, value: object) -> object:
        if value is None or value == "":
            return None
        given = str(value).split(",")
        if isinstance(value, bool) or not all(re.fullmatch(r"\s*\d{1,4}\s*", one) for one in given):
            raise cross_field(
                "GPU indexes are whole numbers with commas between them, such as 0,2; “{value}” is none.",
                "gpu_indexes",
                value=str(value)[:60],
            )
        return ",".join(map(str, sorted({int(one) for one in given})))

    @model_validator(mode="after")
    def chosen_gpus_are_as_many_as_asked_for(self) -> JobSpec:
        chosen = len(self.chosen_gpus)
        if chosen and self.gpus is not None and self.gpus != chosen:
            raise cross_field(
                "{n} GPU indexes are given and {gpus} GPUs asked for: make both the same, or leave GPUs empty.",
                "gpu_indexes",
                "gpus",
                n=chosen,
                gpus=self.gpus,
            )
        return self


@dataclass(frozen=True)
class Reference:
    """A setting that points at something of the workspace: a model, a tokenizer, a dataset or a reward."""

    field: str
    pick: Pick
    value: str

    @property
    def job_id(self) -> str | None:
        """The job whose output it is (`job:<id>`); None for a checkpoint (`job:<id>@<step>`), a name or a path."""
        return self.value.removeprefix("job:") if self.value.startswith("job:") and "@" not in self.value else None


def references(spec: JobSpec) -> list[Reference]:
    """All models, tokenizers, datasets and rewards a spec points at, in field order."""
    found = []
    for name, field in type(spec).model_fields.items():
        pick, value = setting_of(field).pick, getattr(spec, name)
        if pick and pick != "environment" and value and is_shown(setting_of(field), spec.model_dump()):
            found.append(Reference(name, pick, value))
    return found


def is_shown(setting: Setting, values: Mapping[str, object]) -> bool:
    """Whether a setting matters, given the values of the others (`shown_if`)."""
    return all(values.get(k) in allowed for k, allowed in (setting.shown_if or {}).items())


def spec_hash(kind: str, spec: JobSpec) -> str:
    """sha256 over the resolved settings, so that equal jobs can be recognised."""
    text = json.dumps([kind, spec.model_dump(mode="json")], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
