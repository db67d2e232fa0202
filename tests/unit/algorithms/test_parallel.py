"""The set-up of several processes: what accelerate itself would make of the same file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from platform_core.algorithms.parallel import accelerate_config, environment
from platform_core.algorithms.sft import SFTSpec
from platform_core.jobs.messages import validate


def spec(**values: object) -> SFTSpec:
    return SFTSpec.model_validate({"model": "m", "dataset": "d", **values})


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"parallel": "ddp", "processes": 3, "dtype": "bfloat16"},
        {"parallel": "fsdp", "processes": 8, "offload": True},
        {"parallel": "zero2", "processes": 2, "gradient_accumulation_steps": 4, "max_grad_norm": 0.5},
        {"parallel": "zero3", "processes": 2, "offload": True},
    ],
    ids=lambda v: str(v["parallel"]),
)
def test_the_environment_is_what_accelerate_launch_sets(values: dict[str, object], tmp_path: Path) -> None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import launch

    made = spec(**values)
    config = accelerate_config(made, made.dtype == "bfloat16")
    (tmp_path / "accelerate.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    parsed = launch_command_parser().parse_args(["--config_file", str(tmp_path / "accelerate.yaml"), "train.py"])
    args, defaults, _ = _validate_launch_command(parsed)
    args.deepspeed_fields_from_accelerate_config = ",".join([*defaults.deepspeed_config, "mixed_precision"])
    assert args.num_processes == made.processes
    deepspeed = str(values["parallel"]).startswith("zero")
    theirs = launch.prepare_deepspeed_cmd_env(args)[1] if deepspeed else launch.prepare_multi_gpu_env(args)
    ours = environment(config)
    assert {name: theirs.get(name) for name in ours} == ours


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"gpu_indexes": "0,x"}, "whole numbers with commas"),
        ({"gpu_indexes": "-1"}, "whole numbers with commas"),
        ({"gpu_indexes": "0,1"}, "One process computes on one GPU, not on 2"),
        ({"gpus": 2}, "One process computes on one GPU, not on 2"),
        ({"gpu_indexes": "0", "gpus": 2}, "1 GPU indexes are given and 2 GPUs asked for"),
        ({"gpu_indexes": "0,1,2", "parallel": "ddp", "processes": 2}, "2 processes need as many GPUs, not 3"),
    ],
)
def test_chosen_gpus_must_suit_the_rest(values: dict[str, object], sentence: str) -> None:
    found, told = validate(SFTSpec, {"model": "m", "dataset": "d", **values})
    assert found is None
    assert sentence in str(told[0].text)
    assert set(values) & set(told[0].fields)


def test_chosen_gpus_count_where_the_job_may_compute_on_them() -> None:
    made = spec(gpu_indexes=" 2, 0", parallel="ddp", processes=2)
    assert (made.gpu_indexes, made.chosen_gpus, made.gpu_count) == ("0,2", (0, 2), 2)
    assert spec(gpu_indexes=1).chosen_gpus == (1,)
    assert spec(gpu_indexes="0", device="cpu").chosen_gpus == ()
    assert spec(gpu_indexes="").gpu_count is None


def test_one_process_needs_no_set_up() -> None:
    assert accelerate_config(spec()) == {}
    assert spec(processes=8).world_size == 1


def test_steps_are_counted_over_all_processes() -> None:
    alone, four = spec(batch_size=8), spec(batch_size=8, parallel="ddp", processes=4)
    assert (alone.total_steps(100), four.total_steps(100)) == (13, 4)
