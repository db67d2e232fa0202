"""`lathe train` and `lathe eval`: settings from options and from a file, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from platform_core.jobs import service
from platform_core.workspace.service import open_workspace

from .conftest import Lathe


def test_dry_run_prints_yaml_that_makes_the_same_job(lathe: Lathe, tmp_path: Path) -> None:
    words = ("train", "tokenizer", "--dataset", "texts.jsonl", "--vocab-size", "400", "--no-split-digits")
    code, out, err = lathe(*words, "--dry-run")
    assert code == 0
    assert "outside the usual 512 to 150000" in err
    document = yaml.safe_load(out)
    assert document["spec"]["split_digits"] is False
    assert document["spec"]["cpu_slots"] >= 1
    assert json.loads(lathe("jobs", "list", "--json")[1]) == []
    (tmp_path / "job.yaml").write_text(out)
    job = json.loads(
        lathe("train", "tokenizer", "--config", str(tmp_path / "job.yaml"), "--seed", "3", "--create-only", "--json")[1]
    )
    assert service.get(open_workspace(), job["id"]).spec == {**document["spec"], "seed": 3}
    as_json = json.loads(lathe(*words, "--dry-run", "--json")[1])
    assert as_json["spec"] == document["spec"]
    assert len(as_json["warnings"]) == 1


def test_a_config_may_be_settings_alone(lathe: Lathe, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("dataset: texts.jsonl\nvocab_size: 600\nlearning: 1\n")
    code, _, err = lathe("train", "tokenizer", "--config", str(tmp_path / "job.yaml"), "--dry-run")
    assert code == 1
    assert "“learning” is not a setting" in err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[1, 2]", "holds no settings"),
        ("", "holds no settings"),
        ("a: [", "job.yaml: Line 1 of this YAML"),
        ("a: &x 1\nb: *x", "uses aliases"),
        ("a: !!python/object:os.system x", "Line 1 of this YAML can't be understood"),
        ("[" * 5000, "nested too deeply"),
        ("kind: sft\nspec: {}", "describes a job of kind sft"),
        ("x" * (2**20 + 1), "larger than 1 MiB"),
    ],
)
@pytest.mark.slow
def test_a_config_that_is_none_is_a_sentence(lathe: Lathe, tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "job.yaml").write_text(content)
    code, _, err = lathe("train", "tokenizer", "--config", str(tmp_path / "job.yaml"), "--dry-run")
    assert code == 1
    assert sentence in err
    assert lathe("train", "tokenizer", "--config", str(tmp_path / "nothing.yaml"))[0] == 1


def test_wrong_settings_are_said_beside_their_options(lathe: Lathe) -> None:
    code, out, err = lathe("train", "sft", "--learning-rate", "1e5", "--batch-size", "x", "--dtype", "int3")
    assert (code, out) == (1, "")
    assert "--learning-rate: Learning rate is 1e5, far above 1: did you mean 1e-5?" in err
    assert "--batch-size: Batch size must be a whole number; “x” is none." in err
    assert "--dtype: Compute type must be one of" in err
    assert "--model: Model is needed." in err
    assert json.loads(lathe("jobs", "list", "--json")[1]) == []


def test_eval_without_a_kind_is_evaluate(lathe: Lathe) -> None:
    code, _, err = lathe("eval", "--model", "nope", "--dataset", "nope")
    assert code == 1
    assert err == lathe("eval", "evaluate", "--model", "nope", "--dataset", "nope")[2]
    assert "--model:" in err


def test_create_only_with_follow_is_wrong_usage(lathe: Lathe) -> None:
    assert lathe("train", "tokenizer", "--dataset", "texts.jsonl", "--create-only", "--follow")[0] == 2
