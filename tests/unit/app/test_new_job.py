"""The form of a job: made from its spec, judged while it is typed, started once."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from app.cli import main
from platform_core.algorithms import registry
from platform_core.algorithms.sft import SFTSpec
from platform_core.hosts import nvml
from platform_core.jobs import service as jobs
from platform_core.jobs.spec import setting
from platform_core.workspace.service import Workspace

Open = Callable[..., AppTest]
ROOT = Path(__file__).resolve().parents[3]


def said(at: AppTest) -> str:
    """All that a page says in running text."""
    return "\n".join(e.value for e in [*at.markdown, *at.caption, *at.error, *at.warning])


def unescaped(at: AppTest) -> str:
    return said(at).replace("\\", "")


def test_particular_gpus_can_be_chosen_where_there_are_any(
    opened: Open, sums: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = opened("new_job", kind="sft")
    assert not at.exception
    assert "sft.gpu_indexes" not in {w.key for w in at.text_input}
    card = {"name": "H100", "memory_total": 80 * 2**30, "memory_used": 0, "utilization": 0, "processes": []}
    told = tmp_path / "nvml.json"
    told.write_text(json.dumps({"gpus": [{**card, "uuid": f"GPU-{n}"} for n in range(2)]}))
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "fake_nvml"))
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.setenv("FAKE_NVML", str(told))
    nvml.close()
    try:
        at = opened("new_job", kind="sft")
        at.text_input(key="sft.gpu_indexes").set_value("3").run()
        assert "There is no GPU 3: this machine has GPU 0, 1." in unescaped(at)
        at.text_input(key="sft.gpu_indexes").set_value("1").run()
        assert "There is no GPU" not in unescaped(at)
        at.selectbox(key="sft.device").set_value("cpu").run()
        assert "sft.gpu_indexes" not in {w.key for w in at.text_input}
    finally:
        nvml.close()
        sys.modules.pop("pynvml", None)


def test_every_kind_has_a_card_and_a_form(opened: Open, workspace: Workspace) -> None:
    at = opened("new_job")
    assert not at.exception
    for kind in registry.algorithms():
        at = opened("new_job")
        at.button(key=f"kind.{kind}").click().run()
        assert not at.exception, (kind, at.exception)
        shown = {w.key for w in [*at.selectbox, *at.number_input, *at.text_input, *at.toggle]}
        assert any(str(key).startswith(f"{kind}.") for key in shown)


def test_an_added_field_shows_up_with_no_other_edit(
    opened: Open, workspace: Workspace, model: str, sums: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WiderSpec(SFTSpec):
        label_smoothing: float = setting(0.0, title="Label smoothing", help="Share of …", group="Optimizer", ge=0, le=1)

    known = dict(registry.algorithms())
    known["sft"] = registry.Algorithm(**{**vars(known["sft"]), "spec": WiderSpec})
    monkeypatch.setattr(registry, "algorithms", lambda: known)
    at = opened("new_job", kind="sft")
    assert at.number_input(key="sft.label_smoothing").label == "Label smoothing"
    at.number_input(key="sft.label_smoothing").set_value(1.5).run()
    assert "Label smoothing must be at most 1" in unescaped(at)
    at.number_input(key="sft.label_smoothing").set_value(0.1).run()
    at.button(key="create").click().run()
    assert jobs.list_jobs(workspace)[0].spec["label_smoothing"] == 0.1


def test_what_is_the_only_choice_is_chosen_and_starts_in_two_presses(
    opened: Open, workspace: Workspace, model: str, sums: str
) -> None:
    at = opened("new_job")
    at.button(key="kind.sft").click().run()
    assert at.selectbox(key="sft.model").value == model
    assert at.selectbox(key="sft.dataset").value == sums
    at.button(key="start").click().run()
    (job,) = jobs.list_jobs(workspace)
    assert (job.state, job.spec["model"], job.spec["dataset"]) == ("queued", model, sums)


def test_a_missing_choice_is_a_hint_and_not_an_error(opened: Open, workspace: Workspace) -> None:
    at = opened("new_job", kind="sft")
    assert at.button(key="start").disabled
    assert "Needed first: Model, Dataset." in unescaped(at)
    assert not at.error


def test_an_error_between_fields_stands_beside_its_field(opened: Open, workspace: Workspace, model: str) -> None:
    at = opened("new_job", kind="pretrain")
    at.selectbox(key="pretrain.tokenizer").set_value(model).run()
    at.number_input(key="pretrain.heads").set_value(5).run()
    texts = [m.value.replace("\\", "") for m in at.markdown if "do not divide" in m.value]
    assert any(t.startswith(":small[:red[") and "5 heads do not divide the hidden size 64" in t for t in texts)
    assert at.button(key="start").disabled


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("1e5", "did you mean 1e-5?"),
        ("fast", "Learning rate must be a number such as 2e-5; “fast” is none."),
        ("0", "Learning rate must be greater than 0"),
        ("0.5", "outside the usual"),
    ],
)
def test_a_learning_rate_is_judged_in_our_words(
    opened: Open, workspace: Workspace, model: str, sums: str, typed: str, sentence: str
) -> None:
    at = opened("new_job", kind="sft")
    at.text_input(key="sft.learning_rate").set_value(typed).run()
    assert sentence in unescaped(at)


def test_small_numbers_stay_exact(opened: Open, workspace: Workspace, model: str, sums: str) -> None:
    at = opened("new_job", kind="sft")
    assert at.text_input(key="sft.learning_rate").value == "2e-5"
    at.text_input(key="sft.learning_rate").set_value("1.2345678e-5").run()
    at.button(key="create").click().run()
    assert jobs.list_jobs(workspace)[0].spec["learning_rate"] == 1.2345678e-5


def test_a_clone_fills_the_form_with_the_same_settings(
    opened: Open, workspace: Workspace, model: str, sums: str
) -> None:
    values = {"model": model, "dataset": sums, "learning_rate": 3e-4, "max_steps": 7, "completion_only_loss": False}
    first = jobs.create(workspace, "sft", values, name="First")
    at = opened("new_job", clone=first.id)
    assert at.text_input(key="new-job.name").value == "First (copy)"
    at.button(key="create").click().run()
    second = next(j for j in jobs.list_jobs(workspace) if j.id != first.id)
    assert second.spec_hash == first.spec_hash


def test_a_clone_of_a_job_that_is_gone_is_a_sentence(opened: Open, workspace: Workspace) -> None:
    at = opened("new_job", clone="6abcdefghjkm")
    assert not at.exception
    assert at.error


def test_an_address_fills_the_form(opened: Open, workspace: Workspace, model: str, sums: str) -> None:
    at = opened("new_job", kind="sft", model=model, dataset=sums, max_steps="12", learning_rate="1e-4")
    assert at.number_input(key="sft.max_steps").value == 12
    assert at.text_input(key="sft.learning_rate").value == "1e-4"


def test_an_unknown_kind_or_setting_in_the_address_is_a_sentence(opened: Open, workspace: Workspace) -> None:
    assert "no kind of job called “knit”" in opened("new_job", kind="knit").error[0].value.replace("\\", "")
    at = opened("new_job", kind="sft", wool="red")
    assert "“wool” is not a setting" in at.error[0].value.replace("\\", "")


def test_yaml_fills_the_form_and_the_form_fills_the_yaml(
    opened: Open, workspace: Workspace, model: str, sums: str
) -> None:
    at = opened("new_job", kind="sft")
    document = yaml.safe_load(at.text_area[0].value)
    assert document["spec"]["batch_size"] == 8
    document["spec"]["batch_size"] = 4
    at.text_area[0].set_value(yaml.safe_dump(document)).run()
    assert at.number_input(key="sft.batch_size").value == 4
    at.number_input(key="sft.batch_size").set_value(16).run()
    assert yaml.safe_load(at.text_area[0].value)["spec"]["batch_size"] == 16


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("spec: [unclosed", "Line 1 of this YAML can't be understood"),
        ("just words", "holds no settings"),
        ("a: &x [1]\nb: *x", "uses aliases"),
        ("kind: sft\nspec: {wool: red}", "“wool” is not a setting"),
        ("kind: sft\nspec: {batch_size: many}", "Batch size must be a whole number; “many” is none."),
        ("kind: knit\nspec: {}", "no kind of job called “knit”"),
        ("[" * 3000, "can't be understood"),
        ("kind: sft\nspec: {batch_size: 99999999999999999999}", "Batch size"),
    ],
)
@pytest.mark.slow
def test_bad_yaml_is_a_sentence_and_the_form_keeps_what_it_had(
    opened: Open, workspace: Workspace, model: str, sums: str, text: str, sentence: str
) -> None:
    at = opened("new_job", kind="sft")
    at.text_area[0].set_value(text).run()
    assert not at.exception
    assert sentence in unescaped(at)
    assert at.number_input(key="sft.batch_size").value == 8
    at.number_input(key="sft.batch_size").set_value(6).run()
    assert sentence not in unescaped(at)


def test_the_command_makes_the_same_job(
    opened: Open, workspace: Workspace, model: str, sums: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"max_steps": "5", "learning_rate": "1.25e-4", "completion_only_loss": "false", "epochs": "2"}
    at = opened("new_job", kind="sft", model=model, dataset=sums, **given)
    command = shlex.split(at.code[0].value)
    assert "--cpu-slots" not in command
    shown = yaml.safe_load(at.text_area[0].value)
    capsys.readouterr()
    assert main([*command[1:], "--dry-run"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["spec"] == shown["spec"]


def test_what_was_typed_outlives_a_change_of_page(opened: Open, workspace: Workspace, model: str, sums: str) -> None:
    at = opened("new_job", kind="sft")
    at.number_input(key="sft.max_steps").set_value(33).run()
    pages = Path(__file__).resolve().parents[3] / "pages"
    at.switch_page(str(pages / "datasets.py")).run()
    at.query_params["kind"] = "sft"
    at.switch_page(str(pages / "new_job.py")).run()
    assert at.number_input(key="sft.max_steps").value == 33


def test_a_model_from_scratch_without_a_tokenizer_leads_to_one(opened: Open, workspace: Workspace) -> None:
    at = opened("new_job", kind="pretrain")
    assert not at.exception
    links = {link.proto.label.replace("\\", ""): link.proto.query_string for link in at.get("page_link")}
    assert links["No tokenizer yet? Train one"] == "kind=tokenizer"
