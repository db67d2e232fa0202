"""What a job costs and how well it uses its GPUs, against numbers computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from platform_core.jobs.cost import cost
from platform_core.jobs.utilization import flops_per_token, peak_flops, utilization
from platform_core.options.spec import Options
from tests.unit.jobs.test_progress import RUNNING


def test_the_price_of_cores_and_gpus() -> None:
    both = Options(gpu_hour_price=2.5, core_hour_price=0.05)
    assert cost(replace(RUNNING, cpu_slots=4), 1800, both) == pytest.approx(0.1)
    assert cost(replace(RUNNING, cpu_slots=4, gpus=2), 7200, both) == pytest.approx(2 * (5 + 0.2))
    assert cost(replace(RUNNING, gpus=2), 3600, Options(gpu_hour_price=2.5)) == pytest.approx(5)


def test_without_a_price_there_is_no_cost() -> None:
    assert cost(RUNNING, 3600, Options()) is None
    assert cost(RUNNING, 3600, Options(gpu_hour_price=2.5)) is None
    assert cost(replace(RUNNING, gpus=1), 3600, Options(core_hour_price=1)) is None


def test_flops_of_a_token() -> None:
    # 6 x 124e6 + 12 x 12 x 768 x 1024 = 744,000,000 + 113,246,208
    assert flops_per_token(124e6, 12, 768, 1024) == 857_246_208
    assert flops_per_token(100, 0, 0, 0, trained=10) == 420


@pytest.mark.parametrize(
    ("name", "tera"),
    [("NVIDIA H200", 989.4), ("NVIDIA H100 80GB HBM3", 989.4), ("NVIDIA H100 PCIe", 756), ("NVIDIA L40S", 362.05),
     ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA A100 80GB PCIe", 312), ("NVIDIA GeForce RTX 4090", 165.2)],
)  # fmt: skip
def test_known_peaks(name: str, tera: float) -> None:
    assert peak_flops(name) == pytest.approx(tera * 1e12)


@pytest.mark.parametrize("name", ["NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 4090 D", "H100 MIG 1g", ""])
def test_an_unknown_gpu_is_not_guessed(name: str) -> None:
    assert peak_flops(name) is None


def test_utilization() -> None:
    told = {"flops_per_token": 1e9, "gpu_names": ["NVIDIA H200", "NVIDIA H200"]}
    assert utilization("sft", told, 989_400) == pytest.approx(0.5)
    assert utilization("grpo", told, 989_400) is None
    assert utilization("sft", {**told, "gpu_names": ["NVIDIA H200", "Else"]}, 989_400) is None
    assert utilization("sft", {}, 989_400) is None
    assert utilization("sft", told, None) is None
