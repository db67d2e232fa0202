"""Settings as verl's overrides: golden files, verl's own config takes them, and no setting is dropped silently."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from platform_core.algorithms.engines import EngineSpec
from platform_core.algorithms.registry import algorithm, algorithms
from platform_core.errors import Problem
from platform_core.jobs.estimate import asks
from platform_core.jobs.messages import validate
from platform_core.verl import compose
from platform_core.verl.fields import FIELDS
from platform_core.verl.override import Override, check_keys, split, written
from platform_core.workspace.service import open_workspace
from tests.unit.verl.profiles import GOLDEN, PROFILES, rendered

ON_VERL = [a for a in algorithms().values() if "verl" in a.engines]
OTHER: dict[str, Any] = {
    "max_steps": 7, "epochs": 3.0, "lr_scheduler": "cosine_with_min_lr", "min_lr_ratio": 0.3, "dtype": "bfloat16",
    "device": "cuda", "strategy": "fsdp", "verl_overrides": "data.shuffle=False", "lora_targets": "q_proj",
    "loss_type": "dr_grpo", "scale_rewards": "none", "kl_estimator": "k3", "tuning": "lora", "baseline": "group",
    "critic_model": "reward", "ray_address": "10.0.0.1:6379", "model": "other", "dataset": "other",
    "num_generations": 2, "eval_every": 3, "value_clip": 0.5, "lora_alpha": 5, "clip_epsilon_high": 0.5,
}  # fmt: skip
"""A value of each setting that differs from the default, where adding 1 or a half gives none."""
WITH: dict[str, dict[str, Any]] = {
    "min_lr_ratio": {"lr_scheduler": "cosine_with_min_lr"}, "lora_rank": {"tuning": "lora"},
    "lora_alpha": {"tuning": "lora"}, "lora_targets": {"tuning": "lora"}, "nodes": {"ray_address": "10.0.0.1:6379"},
    "kl_estimator": {"kl_coef": 0.1}, "kl_correction": {"kl_coef": 0.1}, "gpu_memory_utilization": {"device": "cuda"},
}  # fmt: skip
"""Other settings without which one does not matter."""
FROM_THE_DATA = ("max_steps", "epochs", "eval_every", "dataset", "device", "model", "critic_model")
"""Settings that reach verl through what the runner counts or finds (`Setup`); the integration tests hold them."""


@pytest.mark.parametrize("name", PROFILES)
def test_the_command_is_the_golden_one(name: str) -> None:
    assert rendered(name).shell() + "\n" == (GOLDEN / f"{name}.txt").read_text(), (
        "if this is meant, write the files anew: python -m tests.unit.verl.profiles"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
def test_verls_own_config_takes_the_overrides(name: str) -> None:
    asked = rendered(name)
    compose.check(sys.executable, asked.config, asked.overrides, asked.typed)
    config = compose.compose(sys.executable, asked.config, asked.overrides, asked.typed)
    assert config["trainer"]["project_name"] == "lathe"


@pytest.mark.parametrize("kind", ON_VERL, ids=lambda a: a.name)
def test_every_setting_is_in_the_table(kind: Any) -> None:
    missing = [name for name in kind.spec.model_fields if name not in FIELDS]
    assert not missing, f"say in platform_core/verl/fields.py what becomes of {missing} on verl"


def test_the_table_names_no_setting_that_is_gone() -> None:
    known = {name for kind in ON_VERL for name in kind.spec.model_fields}
    assert not set(FIELDS) - known


def base(kind: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "dataset": "d", "engine": "verl", **more}


def other(spec: EngineSpec, name: str) -> Any:
    if name in OTHER:
        return OTHER[name]
    value = getattr(spec, name)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value * 2 if value > 1 else value + 1
    return value / 2 if value else 0.1


def lines(kind: str, values: dict[str, Any]) -> str:
    from platform_core.verl.command import command
    from tests.unit.verl.profiles import MODEL, RUN, Setup

    spec = algorithm(kind).spec.model_validate(base(kind, **values))
    assert isinstance(spec, EngineSpec)
    device = "cuda" if values.get("device") == "cuda" else "cpu"
    return command(kind, spec, Setup(RUN, MODEL, device=device), "python").shell()


@pytest.mark.parametrize("kind", ON_VERL, ids=lambda a: a.name)
def test_a_rendered_setting_changes_the_command(kind: Any) -> None:
    spec = kind.spec.model_validate(base(kind.name))
    for name in kind.spec.model_fields:
        if FIELDS[name] != "rendered" or name in FROM_THE_DATA:
            continue
        around = WITH.get(name, {})
        assert lines(kind.name, {**around, name: other(spec, name)}) != lines(kind.name, around), name


@pytest.mark.parametrize("kind", ON_VERL, ids=lambda a: a.name)
def test_what_verl_lacks_is_an_error_beside_the_field(kind: Any) -> None:
    for name, value in {"optimizer": "muon", "lora_dropout": 0.1, "early_stopping": 2, "parallel": "ddp"}.items():
        more = {"tuning": "lora", "validation_share": 0.1} if name in ("lora_dropout", "early_stopping") else {}
        spec, findings = validate(kind.spec, base(kind.name, **more, **{name: value}))
        assert spec is None, name
        assert name in {field for f in findings for field in f.fields}, name
        assert any(word in str(findings[0].text) for word in ("verl", "one process"))


def test_the_same_settings_are_no_error_on_hf() -> None:
    values = {**base("sft"), "engine": "hf", "optimizer": "adafactor", "neftune_alpha": 5.0}
    assert validate(algorithm("sft").spec, values)[0] is not None


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30))
def test_any_text_is_what_hydra_reads(text: str) -> None:
    parsed = OverridesParser.create().parse_override(f"model.path={written(text)}")
    value = parsed.value()
    assert (value if isinstance(value, str) else getattr(value, "text", value)) == text.replace("${", "\\${")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False), st.lists, max_leaves=5))
def test_any_value_is_what_hydra_reads(value: Any) -> None:
    assert OverridesParser.create().parse_override(f"a.b={written(value)}").value() == value


def test_a_misspelt_key_names_the_nearest() -> None:
    known = compose.known_keys(sys.executable, 0.0, "ppo_trainer", ())
    for typed, near in (
        ("actor_rollout_ref.actor.optm.lr=1e-6", "actor_rollout_ref.actor.optim.lr"),
        ("trainer.save_frq=3", "trainer.save_freq"),
        ("+reward.custom_reward_functon.x=3", "reward.custom_reward_function"),
    ):
        with pytest.raises(Problem, match="verl has no setting") as problem:
            check_keys([typed], known)
        assert near in str(problem.value)
        assert problem.value.fields == ("verl_overrides",)
    check_keys(["trainer.nnodes=2", "+trainer.brand_new=1"], known)


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [("a.b", "a.b"), ("x=1 =3", "=3"), ("~data.shuffle", "~data.shuffle"), ("a.b='c", "quote"), ("$(rm)=1", "$(rm)=1")],
)
def test_what_is_no_override_is_named(typed: str, wrong: str) -> None:
    spec, findings = validate(algorithm("sft").spec, base("sft", verl_overrides=typed))
    assert spec is None
    assert findings[0].fields == ("verl_overrides",)
    assert wrong in str(findings[0].text)


def test_overrides_are_split_outside_of_quotes() -> None:
    assert split("a.b='c d' e=[1,2]\n +f=\"g h\"") == ("a.b='c d'", "e=[1,2]", '+f="g h"')


def test_files_and_steps_are_not_a_persons_to_set() -> None:
    from platform_core.verl.command import check_managed

    with pytest.raises(Problem, match="set by lathe"):
        check_managed(["trainer.default_local_dir=/tmp"])
    check_managed(["trainer.val_before_train=True"])


def test_a_value_that_verls_config_refuses_is_said() -> None:
    asked = rendered("sft-cpu")
    with pytest.raises(Problem, match="verl refuses these settings"):
        compose.compose(sys.executable, asked.config, [*asked.overrides, Override("engine", "nothing")])


def test_an_interpreter_without_verl_is_a_sentence() -> None:
    with pytest.raises(Problem, match="make setup-verl") as problem:
        compose.compose("/usr/bin/python3", "ppo_trainer", [])
    assert "environment" in problem.value.fields


def test_a_job_on_a_cluster_takes_no_gpu_of_this_machine(tmp_path: Path) -> None:
    place = open_workspace(tmp_path)
    for address, gpus in ((None, 8), ("10.0.0.1:6379", 0)):
        spec = algorithm("grpo").spec.model_validate(base("grpo", gpus=8, ray_address=address))
        assert asks(place, algorithm("grpo"), spec, ())["gpus"] == gpus
