"""`lathe rewards …`: the rewards of the workspace, tried and tested."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from app.commands.options import Commands, verb, workspace
from app.commands.printing import ago, cut, paint, plain, show, show_json, table
from platform_core.clock import now
from platform_core.errors import Problem, text
from platform_core.rewards import bench, service
from platform_core.rewards.answer import Answer, Score
from platform_core.rewards.bench import Ready, Tried
from platform_core.rewards.cases import read_cases, run_cases
from platform_core.rewards.presets import PRESETS
from platform_core.rewards.sample import sample
from platform_core.rewards.sandbox import protection
from platform_core.rewards.scorer import open_scorer
from platform_core.rewards.service import RewardInfo
from platform_core.rewards.spec import read_reward, write_reward
from platform_core.rewards.store import Saved

LARGEST = 8 << 20


@click.group("rewards", cls=Commands, help="List, look at, try, test, save and delete rewards.")
def command() -> None:
    """A reward is a weighted sum of functions: a built-in one, or a folder in `rewards/`."""


@command.command("list")
@verb
def list_(as_json: bool) -> None:
    """List built-in and saved rewards."""
    found = service.list_rewards(workspace().home)
    if as_json:
        show_json([_info_json(i) for i in found])
        return
    rows = [
        [
            i.name,
            "unreadable" if i.unreadable else ", ".join(i.kinds),
            "built in" if i.built_in else i.cases,
            "" if i.modified is None else ago(now() - i.modified),
        ]
        for i in found
    ]
    for line in table(["NAME", "FUNCTIONS", "TEST CASES", "CHANGED"], rows):
        show(line)


@command.command("show")
@click.argument("name", metavar="REWARD")
@verb
def show_(name: str, as_json: bool) -> None:
    """Print a reward as YAML, with its code and test cases counted."""
    saved = service.get(workspace().home, name)
    if as_json:
        cases = [asdict(case) for case in saved.cases]
        show_json({"name": name, "reward": saved.reward.model_dump(mode="json"), "code": saved.code, "cases": cases})
        return
    show(plain(write_reward(saved.reward).rstrip(), keep="\n"))
    if name in PRESETS:
        show(f"# built in: {PRESETS[name].summary}")
    if saved.code is not None:
        show(f"# code.py: {len(saved.code.splitlines())} lines, run under {protection()}")
    show(f"# {len(saved.cases)} test cases")


@command.command("try")
@click.argument("name", metavar="REWARD")
@click.option("--dataset", metavar="DATASET", help="Rows of it are answered in ready-made ways, right and wrong.")
@click.option("-n", "--rows", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many rows.")
@click.option("--first", type=click.IntRange(1), default=1, show_default=True, help="The first of them.")
@click.option("--completion", "completions", multiple=True, metavar="TEXT", help="An answer to score; may be repeated.")
@click.option("--reference", default="", metavar="TEXT", help="What is right.")
@click.option("--prompt", default="", metavar="TEXT", help="What was asked.")
@click.option("--answers", "answers_file", metavar="FILE", type=click.Path(exists=True, dir_okay=False),
              help="Answers as JSON Lines with completion, reference, prompt and row.")  # fmt: skip
@verb
def try_(
    name: str, dataset: str | None, rows: int, first: int, completions: tuple[str, ...], reference: str, prompt: str,
    answers_file: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Score answers and say why; REWARD is a name or a YAML file. Exit code 1 when one could not be scored."""
    saved = _named(name)
    asked = [Ready(text("given"), Answer(said, reference, prompt)) for said in completions]
    if answers_file is not None:
        asked += [Ready(text("given"), answer) for answer in _answers(Path(answers_file))]
    if dataset is not None:
        for row in sample(workspace(), dataset, "grpo", saved.reward, rows, first):
            asked += bench.ready_made(saved.reward, row)
    if not asked:
        raise click.UsageError("Nothing to score: give --completion, --answers or --dataset.")
    tried = bench.try_reward(saved, asked)
    if as_json:
        show_json([_tried_json(t) for t in tried])
    else:
        for one in tried:
            _tell(one, tried)
    return 1 if any(t.score.error is not None for t in tried) else 0


@command.command("test")
@click.argument("name", metavar="REWARD")
@verb
def test(name: str, as_json: bool) -> int:
    """Run the test cases of a reward; exit code 1 when one fails."""
    saved = _named(name)
    reward = saved.reward.model_copy(update={"on_error": "zero"})
    with open_scorer(reward, saved.folder, code=saved.code) as scorer:
        results = run_cases(scorer, saved.cases)
    failing = [r for r in results if not r.passed]
    if as_json:
        show_json(
            [{"name": r.case.name, "passed": r.passed, "said": None if r.passed else str(r.said)} for r in results]
        )
    else:
        for result in failing:
            show(plain(f"failed: {result.said}"))
        show(f"{len(results) - len(failing)} of {len(results)} test cases pass.")
    return 1 if failing else 0


@command.command("save")
@click.argument("name", metavar="NAME")
@click.option("--from", "source", required=True, metavar="FILE", type=click.Path(exists=True, dir_okay=False),
              help="The reward as YAML.")  # fmt: skip
@click.option("--code", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="Its own Python.")
@click.option(
    "--cases", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="Its test cases, JSON Lines."
)
@click.option("--replace", is_flag=True, help="Replace a reward of that name; the old one goes to the trash.")
@verb
def save(name: str, source: str, code: str | None, cases: str | None, replace: bool, as_json: bool) -> None:
    """Save a reward, its code and its test cases under a name."""
    reward = read_reward(_read(Path(source)))
    found = read_cases(_read(Path(cases)).splitlines()) if cases else []
    service.save(workspace().home, name, reward, _read(Path(code)) if code else None, found, replace=replace)
    _said(f"Saved {plain(name)}. Use it: lathe train grpo --reward {plain(name)} …", {"name": name}, as_json)


@command.command("copy")
@click.argument("name", metavar="REWARD")
@click.argument("new", metavar="NAME")
@verb
def copy(name: str, new: str, as_json: bool) -> None:
    """Save a reward under a second name."""
    service.copy(workspace().home, name, new)
    _said(f"Saved {plain(new)}.", {"name": new}, as_json)


@command.command("rename")
@click.argument("name", metavar="REWARD")
@click.argument("new", metavar="NAME")
@verb
def rename(name: str, new: str, as_json: bool) -> None:
    """Give a saved reward another name."""
    service.rename(workspace().home, name, new)
    _said(f"{plain(name)} is {plain(new)} now.", {"name": new}, as_json)


@command.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="REWARD...")
@verb
def delete(names: tuple[str, ...], as_json: bool) -> None:
    """Move rewards to the trash; `lathe rewards restore` brings them back."""
    for name in names:
        entry = service.delete(workspace().home, name)
        data = {"id": entry.id, "name": entry.name, "deleted_at": entry.deleted_at}
        _said(f"{plain(name)} is in the trash. Undo: lathe rewards restore {entry.id}", data, as_json)


@command.command("restore")
@click.argument("entry_id", metavar="ID")
@verb
def restore(entry_id: str, as_json: bool) -> None:
    """Take a reward out of the trash again."""
    found = service.restore(workspace().home, entry_id)
    _said(f"{plain(found.name)} is back.", {"name": found.name}, as_json)


def _said(line: str, data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(data)
    else:
        show(line)


def _named(name: str) -> Saved:
    """A reward by name, or from a YAML file with `code.py` and `cases.jsonl` beside it."""
    file = Path(name)
    if file.suffix not in (".yaml", ".yml"):
        return service.get(workspace().home, name)
    reward = read_reward(_read(file))
    code, cases = file.with_name("code.py"), file.with_name("cases.jsonl")
    found = read_cases(_read(cases).splitlines()) if cases.is_file() else []
    return Saved(file.stem, reward, _read(code) if code.is_file() else None, found)


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise Problem("{file} is larger than 8 MiB: that is no part of a reward.", file=str(file))
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Problem("{file} can't be read: {reason}.", file=str(file), reason=reason or str(error)) from error


def _answers(file: Path) -> list[Answer]:
    found = []
    for number, line in enumerate(_read(file).splitlines(), start=1):
        try:
            data = json.loads(line)
            found.append(
                Answer(str(data["completion"]), str(data.get("reference", "")), str(data.get("prompt", "")),
                       dict(data.get("row") or {}), number)
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Problem(
                "Line {line} of {file} is no JSON object with a `completion`.", line=number, file=str(file)
            ) from None
    return found


def _tell(tried: Tried, everything: list[Tried]) -> None:
    answer, score = tried.ready.answer, tried.score
    where = f"row {answer.number}, " if answer.number is not None else ""
    took = f"[{score.seconds * 1000:.2f} ms]"
    show(f"{paint(f'{score.value:.4g}', 1)}  {where}{tried.ready.name}: {cut(plain(answer.completion), 60)} {took}")
    for part in score.parts:
        value = "–" if part.value is None else f"{part.value:.4g} × {part.weight:g}"
        show(f"      {part.name} {value}: {plain(part.why)}")
    worry = bench.worry(tried, everything)
    if worry is not None:
        show(f"      {paint('!', 33)} {plain(worry)}")


def _tried_json(tried: Tried) -> dict[str, Any]:
    return {"answer": str(tried.ready.name), "row": tried.ready.answer.number, **score_json(tried.score)}


def score_json(score: Score) -> dict[str, Any]:
    """A score as the command line's JSON gives it; seconds of wall time."""
    return {
        "score": score.value,
        "seconds": score.seconds,
        "error": None if score.error is None else str(score.error),
        "parts": [
            {"name": p.name, "value": p.value, "weight": p.weight, "extracted": p.extracted, "why": str(p.why)}
            for p in score.parts
        ],
    }


def _info_json(info: RewardInfo) -> dict[str, Any]:
    unreadable = None if info.unreadable is None else str(info.unreadable)
    return {**asdict(info), "kinds": list(info.kinds), "unreadable": unreadable, "built_in": info.built_in}
