"""The demo's data is what it claims to be, and its recipe fits the specs of its jobs."""

from __future__ import annotations

import json
from pathlib import Path

from platform_core.algorithms.registry import algorithm
from platform_core.datasets.needs import training_rows
from platform_core.demo.data import split_pairs, write_datasets
from platform_core.demo.recipe import STAGE, stages


def rows(home: Path, name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (home / "datasets" / name).read_text().splitlines()]


def test_held_out_sums_are_in_no_training_file(tmp_path: Path) -> None:
    names = write_datasets(tmp_path, 5)
    held_out = {row["prompt"] for row in rows(tmp_path, names["heldout"])}
    assert len(held_out) == 500
    assert not held_out & {row["prompt"] for row in rows(tmp_path, names["sft"])}
    assert not held_out & {row["prompt"] for row in rows(tmp_path, names["grpo"])}
    plain = {row["text"].split("=")[0] + "=" for row in rows(tmp_path, names["pretrain"]) if "=" in row["text"]}
    assert not held_out & plain


def test_answers_are_right_and_both_styles_are_there(tmp_path: Path) -> None:
    names = write_datasets(tmp_path, 1)
    answers = rows(tmp_path, names["sft"])
    for row in answers:
        a, b = map(int, row["prompt"].rstrip("=").split("+"))
        assert row["completion"].rpartition("#")[2] == str(a + b)
    direct = sum(row["completion"].startswith("#") for row in answers) / len(answers)
    assert 0.28 < direct < 0.32
    first = [row["prompt"] for row in answers[: len(split_pairs()[0])]]
    assert len(set(first)) == len(first)


def test_the_same_seed_writes_the_same_bytes_and_leaves_them_alone(tmp_path: Path) -> None:
    names = write_datasets(tmp_path / "one", 7)
    assert write_datasets(tmp_path / "two", 7) == names
    for name in names.values():
        assert (tmp_path / "one/datasets" / name).read_bytes() == (tmp_path / "two/datasets" / name).read_bytes()
    kept = tmp_path / "one/datasets" / names["sft"]
    changed = tmp_path / "one/datasets" / names["grpo"]
    inode = kept.stat().st_ino
    changed.write_text("cut in half")
    write_datasets(tmp_path / "one", 7)
    assert kept.stat().st_ino == inode
    assert changed.read_bytes() == (tmp_path / "two/datasets" / names["grpo"]).read_bytes()
    other = write_datasets(tmp_path / "one", 8)
    assert (tmp_path / "one/datasets" / other["sft"]).read_bytes() != kept.read_bytes()


def test_the_stages_are_seven_jobs_that_can_run_in_order(tmp_path: Path) -> None:
    names = write_datasets(tmp_path, 0)
    done: set[str] = set()
    recipe = stages(0, names)
    for stage in recipe:
        kind = algorithm(stage.kind)
        spec = kind.spec.model_validate(stage.spec)
        assert (spec.seed, spec.cpu_slots) == (0, 1)
        assert set(stage.needs) <= done
        assert sum(str(value).startswith(STAGE) for value in stage.spec.values()) == len(stage.needs)
        assert kind.dataset_format is not None
        source = training_rows(tmp_path / "datasets" / str(stage.spec["dataset"]), to=kind.dataset_format)
        assert next(source)
        source.close()
        done.add(stage.name)
    assert [stage.kind for stage in recipe] == ["tokenizer", "pretrain", "sft", "grpo", *["evaluate"] * 3]
