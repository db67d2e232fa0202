"""Write `docs/reference/` from the specs, the commands and the states; with `--check`, fail when it is stale.

tools/reference.py            write the files
tools/reference.py --check    list files that differ; exit code 1 when there is any
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
import typing
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.cli import EXIT_CODES, cli  # noqa: E402
from app.commands.train import bounds, metavar, shown  # noqa: E402
from platform_core.algorithms.registry import Algorithm, algorithms  # noqa: E402
from platform_core.datasets.needs import NEEDS  # noqa: E402
from platform_core.jobs.spec import JobSpec, Setting, setting_of  # noqa: E402
from platform_core.jobs.states import NEXT, State  # noqa: E402
from platform_core.rewards.kinds.registry import kinds  # noqa: E402
from platform_core.rewards.presets import PRESETS  # noqa: E402
from platform_core.rewards.spec import RewardSettings  # noqa: E402
from platform_core.settings import VARIABLES, Variable  # noqa: E402

FOLDER = Path("docs/reference")
MADE = "<!-- Written by tools/reference.py from the code; change it there. -->\n"
VERBS = {"train": ("prepare", "train"), "eval": ("evaluate",)}
OTHERS = {
    "Set-up and tests": (
        Variable(
            "LATHE_TORCH_INDEX",
            "the package index",
            "A package index with another build of PyTorch, such as the small one for CPUs; read by the set-up.",
        ),
        Variable("LATHE_KILL_ROUNDS", "a few", "Rounds of the tests in tests/faults; `make faults`: 200."),
        Variable("LATHE_KILL_SEED", "0", "Where their choices start; a round that fails prints its own."),
        Variable("LATHE_TEST_CLOCK", "0", "Seconds by which a test of faults shifts the clock of a supervisor."),
        Variable("LATHE_DOCTOR_SEEDS", "4", "Seeds of the doctor's tests; `make doctor`: 20."),
        Variable("LATHE_DOCTOR_FIRST", "0", "The first of those seeds."),
        Variable("LATHE_LOCKED_SECONDS", "3", "How long the test of a locked database keeps it locked."),
        Variable("LATHE_VERL", "a few", "Which trainings the tests run on real verl; `make verl`: `all`."),
    ),
    "Set by the platform in each runner": (
        Variable("LATHE_JOB", "", "The id of the runner's job."),
        Variable("LATHE_ATTEMPT", "", "Job and attempt: by it the processes that a runner left behind are found."),
        Variable("LATHE_VERL_RUN", "", "The folder through which verl's processes and their runner speak."),
        Variable("LATHE_VERL_TOKEN", "", "By it the processes that a training on verl left behind are found."),
    ),
}
"""Variables of programs that can't or need not import the platform."""
MEANINGS: dict[State, str] = {
    "pending": "Made, not started.",
    "queued": "Waits for the jobs it needs and for free CPU slots.",
    "starting": "Its process is being started.",
    "running": "Its process works.",
    "pausing": "Asked to pause: ends its step, writes a checkpoint.",
    "paused": "Has a checkpoint and no process; goes on when started.",
    "stopping": "Asked to stop: ends its step, writes a checkpoint.",
    "stopped": "Was stopped; goes on from its checkpoint when started.",
    "completed": "Has its output and its result.",
    "failed": "Ended with an error, which its reason names; can be started again.",
}


def pages() -> dict[str, str]:
    """File name → text of every page of the reference."""
    kinds = {f"{kind.name}.md": kind_page(kind) for kind in algorithms().values()}
    return {
        "README.md": overview(),
        **kinds,
        "rewards.md": rewards_page(),
        "cli.md": cli_page(),
        "states.md": states_page(),
        "settings.md": settings_page(),
    }


def overview() -> str:
    """The list of all pages."""
    rows = [[f"[{k.title}]({k.name}.md)", f"`{verb(k)} {k.name}`", k.summary] for k in algorithms().values()]
    more = "[Functions of rewards](rewards.md) · [The command line](cli.md) · [The states of a job](states.md) · "
    more += "[Settings](settings.md)\n"
    return f"{MADE}# Reference\n\n## Kinds of job\n\n{markdown_table(['Kind', 'Command', 'What for'], rows)}\n{more}"


def kind_page(kind: Algorithm) -> str:
    """One kind of job: what it is for, what it takes, every setting, its JSON schema."""
    fields = {name: (setting_of(field, name), field) for name, field in kind.spec.model_fields.items()}
    parts = [f"{MADE}# {kind.title}\n\n{kind.summary}\n\n```\n{verb(kind)} {kind.name} {required(kind.spec)}\n```\n"]
    parts.append(facts(kind))
    for group in sorted(
        {made.group: 0 for made, _ in fields.values()}, key=lambda g: {"Basics": 0, "Run": 2}.get(g, 1)
    ):
        rows = [row(name, made, field) for name, (made, field) in fields.items() if made.group == group]
        head = ["Setting", "Option", "Type", "Unit", "Default", "Limits", "Usual", "What it does"]
        parts.append(f"## {group}\n\n{markdown_table(head, rows)}")
    schema = json.dumps(kind.spec.model_json_schema(), indent=1, ensure_ascii=False)
    parts.append(
        f"## JSON schema\n\n<details><summary>Of the settings</summary>\n\n```json\n{schema}\n```\n\n</details>\n"
    )
    return "\n".join(parts)


def rewards_page() -> str:
    """The built-in rewards, and every kind of function with its settings."""
    presets = [[f"`{name}`", preset.title, preset.summary] for name, preset in PRESETS.items()]
    parts = [
        f"{MADE}# Functions of rewards\n\nHow they are put together, tried and used: [Rewards](../rewards.md).\n",
        f"## Built-in rewards\n\n{markdown_table(['Name', 'Title', 'What it gives'], presets)}",
    ]
    shared = ("For all functions", "", RewardSettings.model_fields)
    each = [(f"`{k.name}`: {k.title}", k.summary, k.spec.model_fields) for k in kinds().values()]
    for title, about, fields in (shared, *each):
        lines = {name: row(name, setting_of(field, name), field) for name, field in fields.items()}
        rows = [[f"`{name}`", *line[2:6], line[7]] for name, line in lines.items()]
        head = ["Setting", "Type", "Unit", "Default", "Limits", "What it does"]
        parts.append(f"## {title}\n\n{about}\n\n{markdown_table(head, rows)}".replace("\n\n\n\n", "\n\n"))
    return "\n".join(parts)


def facts(kind: Algorithm) -> str:
    """What a kind needs and what to look at while it runs."""
    lines = [
        f"- Runs on: {', '.join(f'`{e}`' for e in kind.engines)}",
        f"- Metrics: {', '.join(f'`{m}`' for m in kind.metrics)}",
    ]
    if kind.dataset_format:
        need = NEEDS[kind.dataset_format]
        lines.insert(0, f"- Dataset: {need.takes} (formats {', '.join(f'`{f}`' for f in need.formats)})")
    return "\n".join(lines) + "\n"


def row(name: str, made: Setting, field: Any) -> list[str]:
    """One line of a settings table."""
    option = "--" + name.replace("_", "-")
    usual = "" if made.recommended is None else " to ".join(shown(x, made.scientific) for x in made.recommended)
    default = "required" if field.is_required() else f"`{shown(field.default, made.scientific)}`"
    kind = "on/off" if field.annotation is bool else metavar(field).strip("[]").replace("|", ", ").lower()
    words = made.help + condition(made) + choices(made)
    return [made.title, f"`{option}`", kind, made.unit, default, bounds(field), usual, words]


def condition(made: Setting) -> str:
    """When a setting matters, if not always."""
    if not made.shown_if:
        return ""
    return (
        " Only with "
        + " and ".join(f"`{k}` {' or '.join(f'`{shown(v)}`' for v in vs)}" for k, vs in made.shown_if.items())
        + "."
    )


def choices(made: Setting) -> str:
    """What the values of a choice mean."""
    return "" if not made.labels else " Choices: " + ", ".join(f"`{k}` {v}" for k, v in made.labels.items()) + "."


def verb(kind: Algorithm) -> str:
    """The command that makes a job of this kind, without the kind."""
    return "lathe " + next(verb for verb, roles in VERBS.items() if kind.role in roles)


def required(spec: type[JobSpec]) -> str:
    """The options that must be given."""
    needed = [(n, f) for n, f in spec.model_fields.items() if f.is_required()]
    return " ".join(f"--{n.replace('_', '-')} {metavar(f)}" for n, f in needed)


def cli_page() -> str:
    """All commands with their arguments and options; those of the kinds are on the kinds' pages."""
    lead = "`lathe` is `.venv/bin/lathe`. Every command takes `--json` and `--home`."
    parts = [f"{MADE}# The command line\n\n{lead} {EXIT_CODES}\n"]
    parts += [command_section(path, command) for path, command in commands(cli, ("lathe",))]
    return "\n".join(parts)


def commands(group: click.Group, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    """All commands below a group, groups before what is in them."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            found.append(((*path, name), command))
            if isinstance(command, click.Group):
                found += commands(command, (*path, name))
    return found


def command_section(path: tuple[str, ...], command: click.Command) -> str:
    """One command."""
    ctx = click.Context(command, info_name=" ".join(path))
    head = f"{'##' if len(path) == 2 else '###'} {' '.join(path)}\n\n{about(command)}\n"
    if path[1:] and path[-1] in algorithms() and path[1] in VERBS:
        return f"{head}\nOptions: the settings of [{path[-1]}]({path[-1]}.md), and {job_options(command)}.\n"
    if isinstance(command, click.Group):
        return head
    usage = command.get_usage(ctx).removeprefix("Usage: ")
    records = [r for p in command.get_params(ctx) if isinstance(p, click.Option) and (r := p.get_help_record(ctx))]
    options = [
        [f"`{name}`", words] for name, words in records if not name.startswith(("--json", "--home", "--help", "-h"))
    ]
    table = "\n" + markdown_table(["Option", "What it does"], options) if options else ""
    return f"{head}\n```\n{re.sub(r' +', ' ', usage.replace(chr(10), ' '))}\n```\n{table}"


def about(command: click.Command) -> str:
    """The help of a command as paragraphs."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help or ""))


def job_options(command: click.Command) -> str:
    """The options of a kind's command that are no settings."""
    settings = algorithms()[command.name or ""].spec.model_fields
    return ", ".join(f"`{p.opts[0]}`" for p in command.params if p.name not in settings)


def states_page() -> str:
    """The states of a job and which may follow which."""
    rows = [
        [f"`{state}`", MEANINGS[state], ", ".join(f"`{s}`" for s in NEXT[state]) or "–"]
        for state in typing.get_args(State)
    ]
    return (
        f"{MADE}# The states of a job\n\nEvery change is one transaction that names the state before, with time, "
        f"actor and reason (`lathe jobs show ID`).\n\n{markdown_table(['State', 'Means', 'May become'], rows)}"
    )


def settings_page() -> str:
    """Every environment variable."""
    parts = [f"{MADE}# Settings\n\nAll settings of the platform are environment variables; none has to be set.\n"]
    for title, variables in {"Platform": VARIABLES, **OTHERS}.items():
        rows = [[f"`{v.name}`", v.default, v.meaning] for v in variables]
        parts.append(f"## {title}\n\n{markdown_table(['Variable', 'Default', 'What it decides'], rows)}")
    return "\n".join(parts)


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """A table; columns that are empty in every row are left out."""
    kept = [i for i in range(len(head)) if any(r[i] for r in rows)]
    lines = [[head[i] for i in kept], ["---"] * len(kept), *([r[i].replace("|", "\\|") for i in kept] for r in rows)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def stale(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Names of pages that are missing, different, or of nothing that exists any more."""
    there = {p.name: p.read_text("utf-8") for p in folder.glob("*.md")}
    return sorted(name for name in {*there, *wanted} if there.get(name) != wanted.get(name))


def write(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Bring the folder to the wanted pages; the names that changed."""
    changed = stale(folder, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], "utf-8")
        else:
            (folder / name).unlink()
    return changed


def main(arguments: list[str] | None = None) -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a page is stale")
    parser.add_argument("--folder", type=Path, default=ROOT / FOLDER, help="where the pages are")
    given = parser.parse_args(arguments)
    wanted = pages()
    if not given.check:
        for name in write(given.folder, wanted):
            print(f"{given.folder / name} {'written' if name in wanted else 'removed'}")
        return 0
    differing = stale(given.folder, wanted)
    for name in differing:
        print(f"{given.folder / name} is not what the code says: run tools/reference.py")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
