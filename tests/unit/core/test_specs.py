"""Specs: cross-field rules, our words for Pydantic's errors, references, parameter counts that people see."""

import pytest
from pydantic import ValidationError

from platform_core.algorithms.grpo import GRPOSpec
from platform_core.algorithms.pretrain import PretrainSpec
from platform_core.algorithms.registry import algorithm, algorithms
from platform_core.algorithms.sft import SFTSpec
from platform_core.errors import Problem
from platform_core.jobs.messages import validate
from platform_core.jobs.spec import references, setting_of, spec_hash

SCRATCH = {"dataset": "d", "tokenizer": "t"}


def said(spec_class: type, **values: object) -> dict[tuple[str, ...], str]:
    return {f.fields: str(f.text) for f in validate(spec_class, values)[1] if f.level == "error"}


def test_heads_that_do_not_divide_stand_beside_the_field() -> None:
    findings = said(PretrainSpec, **SCRATCH, hidden_size=64, heads=6)
    assert findings == {("heads",): "6 heads do not divide the hidden size 64: take a divisor such as 4."}


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"learning_rate": "1e5"}, "learning_rate", "did you mean 1e-5?"),
        ({"learning_rate": "fast"}, "learning_rate", "must be a number such as 2e-5; “fast” is none"),
        ({"learning_rate": "0"}, "learning_rate", "must be greater than 0"),
        ({"learning_rate": "nan"}, "learning_rate", "must be a number such as 2e-5; “nan” is none"),
        ({"learning_rate": 7}, "learning_rate", "must be at most 1; it is 7"),
        ({"batch_size": "1.5"}, "batch_size", "must be a whole number"),
        ({"batch_size": 0}, "batch_size", "must be at least 1; it is 0"),
        ({"dtype": "float8"}, "dtype", "must be one of"),
        ({"completion_only_loss": "perhaps"}, "completion_only_loss", "on or off"),
        ({"warmup_steps": 50, "max_steps": 10}, "warmup_steps", "longer than the 10 steps"),
    ],
)
def test_validation_speaks_our_words(values: dict[str, object], field: str, words: str) -> None:
    findings = said(SFTSpec, model="m", dataset="d", **values)
    assert words in findings[(field,)]


def test_an_unknown_setting_names_the_known_ones() -> None:
    (sentence,) = said(SFTSpec, model="m", dataset="d", learning_rat=1e-5).values()
    assert "learning_rat" in sentence
    assert sentence.endswith("did you mean learning_rate?")


def test_a_setting_that_is_nothing_like_any_other_is_told_in_a_short_sentence() -> None:
    (sentence,) = said(SFTSpec, model="m", dataset="d", wool="red").values()
    assert "“wool” is not a setting" in sentence
    assert len(sentence) < 120


def test_what_is_not_chosen_yet_is_missing_not_wrong() -> None:
    _, findings = validate(SFTSpec, {"model": "", "dataset": None})
    assert {(f.level, f.fields) for f in findings} == {("missing", ("model",)), ("missing", ("dataset",))}


def test_outside_the_recommended_range_is_a_warning() -> None:
    spec, findings = validate(SFTSpec, {"model": "m", "dataset": "d", "learning_rate": 5e-3})
    assert spec is not None
    assert [(f.level, f.fields) for f in findings] == [("warning", ("learning_rate",))]


def test_group_size_divides_the_batch() -> None:
    with pytest.raises(ValidationError, match="multiple of the group size"):
        GRPOSpec(model="m", dataset="d", batch_size=12, num_generations=8)


def test_references_follow_what_is_shown() -> None:
    scratch = PretrainSpec(dataset="d", tokenizer="job:abc", model="ignored")
    assert [(r.field, r.job_id) for r in references(scratch)] == [("tokenizer", "abc"), ("dataset", None)]


def test_every_setting_says_what_it_is() -> None:
    for kind in algorithms().values():
        for name, field in kind.spec.model_fields.items():
            assert setting_of(field, name).help, f"{kind.name}.{name}"


def test_equal_specs_have_equal_hashes() -> None:
    one, two = SFTSpec(model="m", dataset="d"), SFTSpec(dataset="d", model="m", learning_rate=2e-5)
    assert spec_hash("sft", one) == spec_hash("sft", two)
    assert spec_hash("sft", one) != spec_hash("sft", one.model_copy(update={"seed": 1}))


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(Problem, match="known are tokenizer, pretrain"):
        algorithm("sftt")
