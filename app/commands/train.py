"""`lathe train <kind>` and `lathe eval <kind>`: one command a kind of job, one option a setting, all from its spec."""

from __future__ import annotations

import functools
import sys
import types
import typing
from typing import Any

import click
from pydantic.fields import FieldInfo

from app.commands.document import read_document
from app.commands.live import follow
from app.commands.options import Commands, job_json, verb, workspace
from app.commands.printing import plain, show, show_json
from app.commands.queue import moment
from app.sizes import short
from platform_core.algorithms.engines import EngineSpec
from platform_core.algorithms.registry import Algorithm, Role, algorithm, algorithms, engine_of
from platform_core.errors import Problem
from platform_core.jobs import service, supervision
from platform_core.jobs.document import write
from platform_core.jobs.examine import examine, without_effect
from platform_core.jobs.messages import Finding
from platform_core.jobs.spec import JobSpec, setting_of
from platform_core.jobs.store import Job
from platform_core.queue.priority import PRIORITIES, rank
from platform_core.verl.check import preview

PICKS = {"model": "MODEL", "tokenizer": "TOKENIZER", "dataset": "DATASET", "reward": "REWARD",
         "environment": "ENVIRONMENT"}  # fmt: skip
NONE = ("", "none")


class Kinds(Commands):
    """The kinds of job of some roles, as commands; options without a kind go to the `default` one."""

    def __init__(self, name: str, roles: tuple[Role, ...], default: str = "", **more: Any) -> None:
        super().__init__(name, **more)
        self.roles, self.default = roles, default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self.default and args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [a.name for a in algorithms().values() if a.role in self.roles]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return kind_command(algorithm(cmd_name)) if cmd_name in self.list_commands(ctx) else None


class KindCommand(click.Command):
    """A command whose help shows the settings by group, as the form does."""

    def __init__(self, chosen: Algorithm, **more: Any) -> None:
        super().__init__(chosen.name, **more)
        self.chosen = chosen

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        fields = self.chosen.spec.model_fields
        groups: dict[str, list[tuple[str, str]]] = {"Job": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            field = fields.get(parameter.name or "")
            group = "Job" if field is None else setting_of(field).group
            if record is not None:
                groups.setdefault(group, []).append(record)
        groups["Basics"] = sorted(groups.get("Basics", []), key=lambda record: "[required]" not in record[1])
        for group in [*(g for g in groups if g not in ("Job", "Run")), "Run", "Job"]:
            if groups.get(group):
                with formatter.section(group):
                    formatter.write_dl(groups[group])


def kind_command(chosen: Algorithm) -> click.Command:
    """The command of one kind of job, with the options of its spec."""
    run = verb(_job_options(functools.partial(_run, chosen)))
    about: list[click.Parameter] = list(reversed(getattr(run, "__click_params__", [])))
    settings: list[click.Parameter] = [option(name, field) for name, field in chosen.spec.model_fields.items()]
    taken = {o for p in about for o in p.opts} & {o for p in settings for o in p.opts}
    assert not taken, f"settings of {chosen.name} that are options of every job: {taken}"
    return KindCommand(
        chosen,
        callback=run,
        params=[*settings, *about],
        help=chosen.summary,
        epilog="A MODEL, TOKENIZER or DATASET is a name in the workspace, job:<id> for a job's output, or a path; "
        "a REWARD is a name that `lathe rewards list` shows.",
    )


def option(name: str, field: FieldInfo) -> click.Option:
    """The option of one setting. Its value stays text: the spec says whether it is right, in the words of the form."""
    flag = "--" + name.replace("_", "-")
    if field.annotation is bool:
        no = "--no-" + name.replace("_", "-")
        return click.Option([f"{flag}/{no}", name], default=None, help=describe(name, field))
    return click.Option([flag, name], metavar=metavar(field), default=None, help=describe(name, field))


def describe(name: str, field: FieldInfo) -> str:
    """The help of a setting with its unit, limits, recommended range and default."""
    made = setting_of(field, name)
    limits = [made.unit, bounds(field)]
    if made.recommended:
        low, high = made.recommended
        limits.append(f"recommended {shown(low, made.scientific)} to {shown(high, made.scientific)}")
    default = shown(field.default, made.scientific)
    limits.append("required" if field.is_required() else f"default {default}")
    return f"{made.help} [{'; '.join(x for x in limits if x)}]"


def bounds(field: FieldInfo) -> str:
    """The limits of a number: "≥ 1, ≤ 64"; empty when there are none."""
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [(sign, getattr(rule, key, None)) for rule in field.metadata for key, sign in signs.items()]
    return ", ".join(f"{sign} {limit:,}" for sign, limit in found if limit is not None)


def shown(value: object, scientific: bool = False) -> str:
    """A value as one would type it."""
    if scientific and isinstance(value, float) and value:
        digits, _, power = f"{value:e}".partition("e")
        return f"{float(digits):g}e{int(power)}"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return short(value) if isinstance(value, float) else str(value)


def metavar(field: FieldInfo) -> str:
    """The kind of value: "INTEGER", "NUMBER", "[linear|cosine]", "MODEL"."""
    pick = setting_of(field).pick
    if pick:
        return PICKS[pick]
    for kind in _members(field.annotation):
        if typing.get_origin(kind) is typing.Literal:
            return "[" + "|".join(str(x) for x in typing.get_args(kind)) + "]"
        if kind in (int, float):
            return "INTEGER" if kind is int else "NUMBER"
    return "TEXT"


def _members(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def given_values(spec: type[JobSpec], given: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given as options; "none" empties a setting that may be empty."""
    values = {k: v for k, v in given.items() if k in spec.model_fields and v is not None}
    for name, value in values.items():
        if value in NONE and type(None) in _members(spec.model_fields[name].annotation):
            values[name] = None
    return values


def _job_options(function: Any) -> Any:
    for declared in reversed(
        [
            click.option("--name", "job_name", default="", metavar="TEXT", help="What the job is called."),
            click.option(
                "--config", "job_config", metavar="FILE", help="Settings as YAML (- for stdin); options override them."
            ),
            click.option(
                "--dry-run", is_flag=True, help="Check, print the resolved settings as YAML and make nothing."
            ),
            click.option(
                "--priority",
                type=click.Choice(PRIORITIES),
                default="normal",
                show_default=True,
                help="Class in the queue: a higher one always goes first.",
            ),
            click.option("--not-before", metavar="TIME", help="Start later: +30m, 2h, 18:30 or 2026-12-24T18:00."),
            click.option("--create-only", is_flag=True, help="Make the job without starting it."),
            click.option("--follow", "--wait", "wait", is_flag=True, help="Show progress until the job has ended."),
        ]
    ):
        function = declared(function)
    return function


def _run(
    chosen: Algorithm,
    job_name: str,
    job_config: str | None,
    dry_run: bool,
    priority: str,
    not_before: str | None,
    create_only: bool,
    wait: bool,
    as_json: bool,
    **given: Any,
) -> int:
    if create_only and wait:
        raise click.UsageError("--create-only makes a job that does not run: there is nothing to --follow.")
    document = read_document(job_config, chosen.name) if job_config else None
    options, fields = given_values(chosen.spec, given), chosen.spec.model_fields
    values = {**(document.settings if document else {}), **options}
    name = job_name or (document.name if document else "")
    if document and document.engine and "engine" in chosen.spec.model_fields:
        values = {"engine": document.engine, **values}
    place = workspace()
    spec, findings = examine(place, chosen.name, values)
    if spec is not None:
        written = [n for n in (document.settings if document else {}) if getattr(spec, n) != fields[n].default]
        findings = [*findings, *without_effect(spec, dict.fromkeys([*written, *options]))]
    warn([f for f in findings if f.level == "warning"])
    if spec is None:
        raise service.Rejected([f for f in findings if f.forbids])
    if dry_run:
        _show_resolved(chosen, name, spec, findings, as_json)
        return 0
    job = service.create(
        place,
        chosen.name,
        values,
        name=name,
        start=not create_only,
        priority=rank(priority),
        not_before=moment(not_before or ""),
    )
    return 0 if create_only and _told(job, as_json) else _started(job, wait, as_json)


def _started(job: Job, wait: bool, as_json: bool) -> int:
    place, code = workspace(), 0
    try:
        supervision.ensure(place.home)
        if wait:
            show(f"{plain(job.name)} ({job.id})", err=as_json)
            job, code = follow(place, job, sys.stderr if as_json else None)
    except KeyboardInterrupt:
        show(
            f"\n{plain(job.name)} goes on in the background. Watch it: lathe jobs logs -f {job.id} · "
            f"stop it: lathe jobs stop {job.id}",
            err=True,
        )
        return 130
    if as_json or not wait:
        _told(job, as_json)
    elif job.state == "failed":
        raise Problem("{reason}", reason=job.reason or "The job failed; its log says why.")
    else:
        show(f"{job.state.capitalize()}. lathe jobs show {job.id} has the result.")
    return code


def _told(job: Job, as_json: bool) -> bool:
    if as_json:
        show_json(job_json(job))
    elif job.state == "pending":
        show(f"Made {plain(job.name)} ({job.id}). Start it: lathe jobs start {job.id}")
    else:
        show(f"Started {plain(job.name)} ({job.id}). Watch it: lathe jobs logs -f {job.id}")
    return True


def _show_resolved(chosen: Algorithm, name: str, spec: JobSpec, findings: list[Finding], as_json: bool) -> None:
    settings, engine = spec.model_dump(mode="json"), engine_of(chosen, spec)
    run = preview(workspace(), chosen, spec) if isinstance(spec, EngineSpec) and engine == "verl" else None
    if as_json:
        document = {"kind": chosen.name, "engine": engine, "name": name, "spec": settings}
        command = {} if run is None else {"command": run.arguments, "environment": run.environment}
        show_json({**document, **command, "warnings": [str(f.text) for f in findings]})
    else:
        show(write(chosen.name, name, settings, engine).rstrip())
        if run is not None:  # as a comment, so that what is printed stays a job
            show("\n".join(f"# {line}" for line in run.shell().splitlines()))


def warn(findings: list[Finding]) -> None:
    """Print warnings to stderr, each with the option that it is about."""
    for finding in findings:
        options = ", ".join("--" + f.replace("_", "-") for f in finding.fields)
        show(plain(f"Warning: {options + ': ' if options else ''}{finding.text}"), err=True)


command = Kinds(
    "train", ("prepare", "train"), help="Train a model or a tokenizer: one command a kind, one option a setting."
)
