"""Model FLOPs utilization: the FLOPs that a training needs over those that its GPUs could do at their peak.

After Chowdhery et al. 2022 (PaLM, appendix B), as nanoGPT's `estimate_mfu`: a token takes 6 FLOPs a parameter and
12·layers·hidden·length for attention, forward and backward together; what is computed a second time does not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

COUNTED = ("pretrain", "sft")
"""Kinds of which every token passes the model once forward and once backward; sampling is no part of the formula."""
PEAKS = {
    r"H200|H100 (80GB )?HBM3": 989.4,  # SXM, NVIDIA H100 and H200 data sheets: 1,979 with sparsity
    r"H100 PCIe": 756.0,  # NVIDIA H100 PCIe data sheet: 1,513 with sparsity
    r"A100-(SXM4|PCIE|PG509)\S*|A100 \S+ PCIe|A100-SXM-\S+": 312.0,  # NVIDIA A100 data sheet
    r"L40S": 362.05,  # NVIDIA L40S data sheet
    r"A40": 149.7,  # NVIDIA A40 data sheet
    r"(GeForce )?RTX 4090": 165.2,  # NVIDIA Ada whitepaper, appendix A: FP32 accumulate
    r"(GeForce )?RTX 3090": 71.0,  # NVIDIA GA102 whitepaper, table 9: FP32 accumulate
}
"""Dense bf16 peak in TFLOPS by the whole name that the driver gives; a laptop's or a cut chip is another one."""


def peak_flops(gpu: str) -> float | None:
    """Dense bf16 FLOPs a second of a GPU by the driver's name for it; None when it is not known."""
    name = gpu.removeprefix("NVIDIA ").strip()
    return next((peak * 1e12 for pattern, peak in PEAKS.items() if re.fullmatch(pattern, name)), None)


def flops_per_token(parameters: float, layers: int, hidden: int, length: float, trained: float | None = None) -> float:
    """FLOPs of a training token in sequences of `length`; `hidden` is heads times their size.

    Frozen parameters (`parameters` less `trained`) have no gradient of their own: 4 FLOPs instead of 6.
    """
    trained = parameters if trained is None else trained
    return 4 * parameters + 2 * trained + 12 * layers * hidden * length


def utilization(kind: str, progress: Mapping[str, Any], tokens_per_second: float | None) -> float | None:
    """A training's share of the peak of its GPUs, 0 to 1, from what its runner told; None where it can't be known."""
    told, names = progress.get("flops_per_token"), progress.get("gpu_names")
    if kind not in COUNTED or not tokens_per_second or not isinstance(told, int | float) or not names:
        return None
    peaks = [peak_flops(str(name)) for name in names]
    known = [peak for peak in peaks if peak is not None]
    return tokens_per_second * told / sum(known) if len(known) == len(peaks) else None
