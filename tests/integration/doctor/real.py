"""Real runs of the hf engine as cases for the doctor, and faults that are done to a runner while it works."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from platform_core.clock import now
from platform_core.doctor.case import Case
from platform_core.doctor.diagnosis import Diagnosis
from platform_core.doctor.service import examine
from platform_core.files import read_json
from platform_core.jobs.outcome import Exit, last_error_line, outcome
from tests.integration.engines.jobs import Job
from tests.unit.doctor.runs import attempt_of, job_of


def case_of_run(job: Job, code: int | None, out_of_memory: bool = False, **attempt: Any) -> Case:
    """The case of a run as the supervisor would settle it: exit code, negative for a signal; None: it still runs."""
    document = read_json(job.folder / "attempts/1/run.json")
    assert document is not None
    spec = dict(document["spec"])  # type: ignore[call-overload]
    log = job.folder / "log.txt"
    number = None if code is None or code >= 0 else -code
    ended = Exit(code if number is None else None, number, out_of_memory)
    told: dict[str, Any] = {"cause": None}
    state: Any = "running"
    if code is not None:
        found = outcome(
            "running",
            ended,
            read_json(job.folder / "result.json"),
            has_output=(job.folder / "output").exists(),
            error_line=last_error_line(log),
        )
        state, told = found.state, {"cause": found.cause, "exit_code": ended.code, "signal": ended.signal}
    return Case(
        job=job_of(job.kind, spec, state, reason=found.reason if code is not None else None),
        now=now(),
        attempt=attempt_of(**told, **{"host": socket.gethostname(), "launched_at": now() - 60, **attempt}),
        metrics=job.folder / "metrics.sqlite",
        log=log,
    )


def loud(case: Case) -> list[Diagnosis]:
    """What the doctor says above information."""
    return [d for d in examine(case) if d.level != "info"]


def with_model(step: int, act: Callable[[Any], object]) -> Callable[[], None]:
    """In a runner: do something to the model after `step`, 0 for before the first."""

    def first() -> None:
        from runners.engines.hf.reporting import Reporting

        began, told = Reporting.on_train_begin, Reporting.on_step_end

        def on_train_begin(self: Reporting, args: Any, state: Any, control: Any, **more: Any) -> None:
            began(self, args, state, control, **more)
            if step == 0:
                act(more["model"])

        def on_step_end(self: Reporting, args: Any, state: Any, control: Any, **more: Any) -> None:
            told(self, args, state, control, **more)
            if state.global_step == step:
                act(more["model"])

        Reporting.on_train_begin, Reporting.on_step_end = on_train_begin, on_step_end  # type: ignore[method-assign]

    return first


def scale_weights(by: float) -> Callable[[Any], None]:
    """Multiply all weights: by NaN they are broken, by 3 they have forgotten much."""

    def act(model: Any) -> None:
        for parameter in model.parameters():
            parameter.data.mul_(by)

    return act


def silence(layer: str) -> Callable[[Any], None]:
    """Let no gradient reach a layer."""

    def act(model: Any) -> None:
        for name, parameter in model.named_parameters():
            if layer in name:
                parameter.register_hook(lambda gradient: gradient * 0)

    return act
