"""The parameter count of the form is the one that transformers builds."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from platform_core.models.architecture import FAMILIES, Architecture, Family, parameter_count
from runners.engines.hf.model import model_config

SIZES = (
    {"hidden_size": 64, "layers": 2, "heads": 4, "kv_heads": 4, "intermediate_size": 256, "vocab_size": 348},
    {"hidden_size": 96, "layers": 3, "heads": 6, "kv_heads": 2, "intermediate_size": 200, "vocab_size": 1001},
    {"hidden_size": 1024, "layers": 4, "heads": 16, "kv_heads": 8, "intermediate_size": 3072, "vocab_size": 151_936},
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sizes", SIZES, ids=["tiny", "grouped", "large"])
@pytest.mark.parametrize("tie", [True, False], ids=["tied", "untied"])
def test_parameters_are_counted_exactly(family: Family, sizes: dict[str, int], tie: bool) -> None:
    moe = {"experts": 6, "experts_per_token": 3, "moe_intermediate_size": 48}
    architecture = Architecture(family=family, tie_embeddings=tie, context_length=512, **moe, **sizes)
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(model_config(architecture))
    assert built.num_parameters() == parameter_count(architecture)
    assert built.config.max_position_embeddings == 512
