"""The `lathe` command: the verbs of the platform's services, its options made from the same specs as the pages' forms.

Exit codes: 0 done, 1 refused or failed (one sentence on stderr), 2 wrong usage, 3 the followed job was stopped or
paused, 130 interrupted. Modules of the verbs are imported only when their verb is used, so that `--help` is quick.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("app.commands.demo", "Train a small model from nothing and watch it learn."),
    "train": ("app.commands.train", "Train a model or a tokenizer: one command a kind, one option a setting."),
    "eval": ("app.commands.evaluate", "Score a model on questions with known answers."),
    "jobs": ("app.commands.jobs", "List, look at, start, stop, delete and clone jobs."),
    "report": ("app.commands.report", "Write a report of jobs: HTML, PDF, or their metrics as CSV."),
    "queue": ("app.commands.queue", "See who waits and why; change the order of the queue."),
    "devices": ("app.commands.devices", "See GPUs, CPU, memory and who uses them; reserve a GPU, drain the host."),
    "alerts": ("app.commands.alerts", "List, look at and mute what the failure doctor found; test where it is sent."),
    "environments": ("app.commands.environments", "See and add the interpreters that jobs run with."),
    "models": ("app.commands.models", "List and look at models and tokenizers."),
    "data": ("app.commands.data", "List, add, look at, check and delete datasets."),
    "rewards": ("app.commands.rewards", "List, look at, try, test, save and delete rewards."),
    "options": ("app.commands.operator", "See and set prices and where alerts are sent, for everybody."),
    "serve": ("app.commands.serve", "Serve the web page."),
    "doctor": ("app.commands.doctor", "Check this machine and the workspace."),
    "supervisor": ("app.commands.supervisor", "Start, stop and look at the process that runs jobs."),
}
"""Verb → module that holds it as `command`, and what it is for."""

EXIT_CODES = (
    "Exit codes: 0 done, 1 refused or failed (a sentence says why), 2 wrong usage, "
    "3 the followed job was stopped or paused, 130 interrupted."
)


class Verbs(click.Group):
    """The group of all verbs, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])


def choose_home(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Let `--home` say where the workspace is, for this process and those it starts."""
    if value is not None:
        os.environ["PLATFORM_HOME"] = value


def show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print the version and end."""
    if value and not ctx.resilient_parsing:
        from platform_core.environment.software import lathe_version

        click.echo(f"lathe {lathe_version()}")
        ctx.exit()


@click.group(cls=Verbs, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home", metavar="FOLDER", expose_value=False, is_eager=True, callback=choose_home,
    help="The workspace. [default: PLATFORM_HOME, else ./workspace]",
)  # fmt: skip
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=show_version, help="Show the version."
)
def cli() -> None:
    """Train, evaluate and look after language models: what the web page does, in a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Prints a sentence for whatever goes wrong, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        code = 1
    except SystemExit as end:  # click's answer to a reader that has gone
        code = end.code if isinstance(end.code, int) else 1
    if code == 1:
        _silence_broken(sys.__stdout__)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    from platform_core.errors import Problem

    try:
        result = cli.main(args=arguments, prog_name="lathe", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Problem as problem:
        _say(problem)
        return 1
    except BrokenPipeError:
        raise
    except Exception as error:
        print(_unexpected(error), file=sys.stderr)
        return 1


def _say(problem: Any) -> None:
    from app.commands.printing import plain

    findings = getattr(problem, "findings", None)
    for sentence in [problem.text] if findings is None else findings:
        if findings is None:
            print(plain(sentence), file=sys.stderr)
        else:
            options = ", ".join("--" + name.replace("_", "-") for name in sentence.fields)
            print(plain(f"{options}: {sentence.text}" if options else sentence.text), file=sys.stderr)


def _unexpected(error: Exception) -> str:
    from app.commands.printing import plain
    from platform_core.settings import home_folder

    said = plain(f"{type(error).__name__}: {error}".split("\n")[0][:300])
    log = home_folder() / "cli.log"
    try:
        _log(log)
    except OSError:
        return f"lathe met an unexpected error ({said}), and {plain(log)} could not be written."
    return f"lathe met an unexpected error ({said}). The details are at the end of {plain(log)}."


def _log(path: Path) -> None:
    from platform_core.clock import now

    if path.exists() and path.stat().st_size > 2**20:
        path.replace(path.with_suffix(".log.1"))
    with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{now():.0f} {traceback.format_exc()}\n")


def _silence_broken(stream: Any) -> None:
    """Where nobody reads any more, let what is still buffered go nowhere, so that the end is silent."""
    try:
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
