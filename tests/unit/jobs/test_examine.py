"""What is said of a job before it is made, beyond what its fields refuse."""

from __future__ import annotations

from platform_core.algorithms.grpo import GRPOSpec
from platform_core.algorithms.sft import ALGORITHM
from platform_core.jobs.examine import without_effect


def test_a_setting_that_changes_nothing_is_told_with_the_one_that_it_waits_for() -> None:
    spec = ALGORITHM.spec.model_validate({"model": "m", "dataset": "d.jsonl", "lora_rank": 8})
    (found,) = without_effect(spec, ["lora_rank", "learning_rate"])
    assert (found.level, found.fields) == ("warning", ("lora_rank", "tuning"))
    assert str(found.text) == "Rank changes nothing while Weights trained is full; it counts with lora, qlora."
    assert not without_effect(spec.model_copy(update={"tuning": "lora"}), ["lora_rank"])


def test_what_counts_only_where_another_setting_is_empty_says_so() -> None:
    asked = {"model": "m", "dataset": "d.jsonl", "engine": "verl", "ray_address": "host:6379", "gpu_indexes": "0"}
    (found,) = without_effect(GRPOSpec.model_validate(asked), ["gpu_indexes"])
    assert str(found.text).endswith("is host:6379; it counts with none.")
