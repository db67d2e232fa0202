"""A setting is written once: a field added to a spec is in the command line, the form, the schema and the docs."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import reference
from app.cli import cli, main
from app.commands.train import kind_command
from app.spec_form import grouped, ordered
from app.spec_text import command_line
from platform_core.algorithms.registry import Algorithm, algorithms
from platform_core.algorithms.tokenizer import TokenizerSpec
from platform_core.jobs.messages import validate
from platform_core.jobs.spec import setting, setting_of


class WiderSpec(TokenizerSpec):
    dropout_rate: float = setting(
        0.1,
        title="BPE dropout",
        help="Share of merges left out.",
        group="Regularisation",
        unit="share",
        recommended=(0.0, 0.2),
        ge=0,
        lt=1,
    )


@pytest.fixture
def wider(monkeypatch: pytest.MonkeyPatch) -> Algorithm:
    """The tokenizer kind with one more field, registered beside the real ones for this test."""
    made = dataclasses.replace(algorithms()["tokenizer"], name="wider", title="Wider", spec=WiderSpec)
    monkeypatch.setitem(algorithms(), "wider", made)
    return made


def test_the_command_line_has_the_option_with_all_that_the_field_says(wider: Algorithm) -> None:
    assert "  wider" in CliRunner().invoke(cli, ["train", "--help"]).output
    out = " ".join(CliRunner().invoke(cli, ["train", "wider", "--help"]).output.split())
    assert "--dropout-rate NUMBER" in out
    assert "Share of merges left out. [share; ≥ 0, < 1; recommended 0 to 0.2; default 0.1]" in out
    assert "Regularisation:" in out


def test_the_dry_run_takes_it_and_resolves_it(wider: Algorithm, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "wider", "--dataset", "texts.jsonl", "--dropout-rate", "0.15", "--dry-run"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["spec"]["dropout_rate"] == 0.15
    assert main(["train", "wider", "--dataset", "texts.jsonl", "--dropout-rate", "1.5", "--dry-run"]) == 1
    assert capsys.readouterr().err == "--dropout-rate: BPE dropout must be less than 1; it is 1.5.\n"
    assert main(["train", "wider", "--dataset", "texts.jsonl", "--dropout-rate", "0.5", "--dry-run"]) == 0
    assert "BPE dropout 0.5 is outside the usual 0 to 0.2." in capsys.readouterr().err


def test_the_form_shows_it_in_its_group(wider: Algorithm) -> None:
    names = ordered(wider.spec)
    assert "dropout_rate" in names
    assert ("Regularisation", ["dropout_rate"]) in grouped(wider.spec, names, {})
    assert setting_of(WiderSpec.model_fields["dropout_rate"]).unit == "share"


def test_the_schema_has_it(wider: Algorithm) -> None:
    described = wider.spec.model_json_schema()["properties"]["dropout_rate"]
    assert (described["minimum"], described["exclusiveMaximum"], described["default"]) == (0, 1, 0.1)
    assert described["title"] == "BPE dropout"


def test_the_reference_has_it(wider: Algorithm) -> None:
    page = reference.pages()["wider.md"]
    assert "| BPE dropout | `--dropout-rate` | number | share | `0.1` | ≥ 0, < 1 | 0 to 0.2 |" in page
    assert "### lathe train wider" in reference.pages()["cli.md"]


def test_nothing_of_it_stays_behind() -> None:
    assert "wider" not in algorithms()
    assert "wider.md" not in reference.pages()


@pytest.mark.parametrize("kind", list(algorithms().values()), ids=lambda kind: kind.name)
def test_every_setting_of_every_kind_is_an_option_with_help(kind: Algorithm) -> None:
    command = kind_command(kind)
    options = {p.name: p for p in command.params}
    assert set(kind.spec.model_fields) <= set(options)
    out = CliRunner().invoke(command, ["--help"]).output
    for name, field in kind.spec.model_fields.items():
        assert "--" + name.replace("_", "-") in out
        assert setting_of(field, name).help, f"{name} of {kind.name} has no help"


def test_the_command_that_the_page_shows_makes_the_same_spec(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {"dataset": "texts.jsonl", "vocab_size": 700, "split_digits": False, "max_rows": 5, "cpu_slots": 1}
    spec, _ = validate(TokenizerSpec, values)
    assert spec is not None
    words = shlex.split(command_line(algorithms()["tokenizer"], "a name", spec, values))
    assert main([*words[1:], "--dry-run", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["name"] == "a name"
    assert printed["spec"] == spec.model_dump(mode="json")
