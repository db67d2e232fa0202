"""What a job will take: main memory, GPUs and memory of each GPU, estimated before it runs.

The formulas follow measured peaks of full fine-tuning with AdamW and PyTorch's own attention (Korthikanti et al. 2022
count the same activations): a peak is the largest of three moments, never their sum. Bytes, float32 weights:

    optimizer step  20 a parameter (weights 4, gradients 4, two moments 8, temporary 4)
    loss            12 a parameter, all activations, and 14 for each logit
    one layer       a token: 8·intermediate + 20·hidden + 4·kv, twice that in float32; 2·hidden when recomputed
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from platform_core.algorithms.adapter import AdapterSpec
from platform_core.algorithms.registry import Algorithm
from platform_core.errors import Problem
from platform_core.files import read_json
from platform_core.hosts.devices import Gpu
from platform_core.jobs.spec import JobSpec, references
from platform_core.models.adapters import config_folder
from platform_core.models.architecture import Architecture, parameter_count
from platform_core.models.service import check_model, model_parameters, model_path
from platform_core.models.vocabulary import vocabulary_size
from platform_core.workspace.service import Workspace

GIB = 2**30
RUNNER = 0.75 * GIB
"""Main memory of a runner with its libraries; with CUDA's host side `CUDA_RUNNER`."""
CUDA_RUNNER = 3.0 * GIB
ON_VERL, ON_RAY = 0.75 * GIB, 3.5 * GIB
"""What verl's own processes take beside the runner: torchrun with its trainer; Ray with its workers (measured)."""
CUDA_CONTEXT = 0.8 * GIB
SPARE = 1.15
GPU_DEVICES = ("auto", "cuda")
MOMENTS = {"adamw": 8.0, "adamw_8bit": 2.0, "adafactor": 0.1, "muon": 4.0}
"""Bytes of optimizer state a trained parameter."""
QUANTIZED = {"nf4": 0.6, "int8": 1.1}
"""Bytes a frozen weight, the scales of its blocks included."""
LENGTHS = ("max_length", "max_completion_length", "max_new_tokens")
"""Settings that say how many tokens are in flight; all of them end where the model's context ends."""


@dataclass(frozen=True)
class Shape:
    """What of a model decides its memory."""

    parameters: int
    hidden: int
    layers: int
    intermediate: int
    kv: int
    vocabulary: int


def asks(workspace: Workspace, chosen: Algorithm, spec: JobSpec, gpus: tuple[Gpu, ...]) -> dict[str, Any]:
    """The columns of a job's row that the queue looks at; what the spec leaves empty is estimated.

    The spec itself keeps "automatic", so that a clone with another batch size is estimated anew.
    """
    on_gpus = bool(gpus) and getattr(spec, "device", "cpu") in GPU_DEVICES
    wanted = spec.gpu_count if spec.gpu_count is not None else getattr(spec, "world_size", 1) if on_gpus else 0
    if getattr(spec, "ray_address", None):
        wanted = 0  # the cluster's own
    peak = peak_bytes(workspace, chosen, spec) * SPARE
    on_gpu = int(peak + CUDA_CONTEXT) if wanted and peak else 0
    if on_gpu and gpus and spec.gpu_memory_gib is None:  # more than a GPU has would wait for ever: it may try
        on_gpu = min(on_gpu, max(int(0.9 * g.memory_total) for g in gpus))
    memory = CUDA_RUNNER if wanted else RUNNER + peak
    if getattr(spec, "engine", "") == "verl":
        memory += ON_RAY if hasattr(spec, "num_generations") else ON_VERL
    return {
        "memory_bytes": int(memory if spec.memory_gib is None else spec.memory_gib * GIB),
        "gpus": wanted,
        "gpu_indexes": list(spec.chosen_gpus) or None,
        "gpu_memory_bytes": on_gpu if spec.gpu_memory_gib is None or not wanted else int(spec.gpu_memory_gib * GIB),
        "time_limit": None if spec.time_limit_hours is None else spec.time_limit_hours * 3600,
        "retries": spec.retries,
    }


def training_peak(
    shape: Shape,
    tokens: int,
    *,
    bfloat16: bool,
    checkpointing: bool,
    reference: bool = False,
    trained: int | None = None,
    weight: float = 4.0,
    moments: float = 8.0,
    critic: bool = False,
) -> float:
    """Bytes at the worst moment of a training step with `tokens` in a forward pass; `reference`: a second model.

    `trained` of the parameters learn (None: all) with `moments` bytes each in the optimizer; `weight`: bytes of a
    weight. `critic`: a second model of that size learns, all of it.
    """
    learns = shape.parameters if trained is None else trained
    weights = weight * shape.parameters + (0 if trained is None else 4 * trained)
    wide = 1 if bfloat16 else 2
    layer = (8 * shape.intermediate + 20 * shape.hidden + 4 * shape.kv) * wide
    kept = 2 * wide * shape.hidden * shape.layers + layer if checkpointing else layer * shape.layers
    loss = weights + moments * learns + tokens * (kept + 14 * shape.vocabulary)
    step = weights + (8 + moments) * learns
    return max(step, loss) + (weights if reference and trained is None else 0) + (16 * shape.parameters * critic)


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Weights of a LoRA adapter of `rank` on all linear layers: rank times inputs and outputs of each."""
    attention = 2 * 2 * shape.hidden + 2 * (shape.hidden + shape.kv)
    return rank * shape.layers * (attention + 3 * (shape.hidden + shape.intermediate))


def inference_peak(shape: Shape, tokens: int) -> float:
    """Bytes for answering with `tokens` in flight: weights, the cache of keys and values, one layer, logits."""
    layer = (8 * shape.intermediate + 20 * shape.hidden) * 2
    return 4 * shape.parameters + tokens * (8 * shape.kv * shape.layers + layer + 4 * shape.vocabulary)


def checkpoint_bytes(workspace: Workspace, spec: JobSpec) -> float:
    """Bytes of one checkpoint: what is trained and its optimizer; 0 when the model is not known yet."""
    shape = shape_of(workspace, spec)
    if shape is None:
        return 0.0
    known = _learning(shape, spec)
    trained = int(known.get("trained", shape.parameters)) + shape.parameters * bool(known.get("critic"))
    return trained * (4 + float(known.get("moments", MOMENTS["adamw"])))


def peak_bytes(workspace: Workspace, chosen: Algorithm, spec: JobSpec) -> float:
    """Bytes at the worst moment of a job; 0 when the model is not known yet."""
    shape = shape_of(workspace, spec)
    if shape is None:
        return 0.0
    rows = getattr(spec, "batch_size", 1) * getattr(spec, "sequences_per_row", 1)
    tokens = rows * next((n for n in (getattr(spec, name, None) for name in LENGTHS) if n), 1024)
    if chosen.role == "evaluate":
        return inference_peak(shape, tokens)
    learning = training_peak(
        shape,
        tokens,
        bfloat16=getattr(spec, "dtype", "float32") == "bfloat16",
        checkpointing=bool(getattr(spec, "gradient_checkpointing", False)),
        reference=bool(getattr(spec, "has_reference", getattr(spec, "kl_coef", 0.0))),
        **_learning(shape, spec),
    )
    teacher = shape_of(workspace, spec, "teacher")
    if teacher is None:
        return learning
    at_once = getattr(spec, "answer_batch_size", None)
    if at_once is None:  # it stays beside the student and reads what it writes
        return learning + inference_peak(teacher, tokens)
    return max(learning, inference_peak(teacher, at_once * getattr(spec, "max_new_tokens", 1024)))


def _learning(shape: Shape, spec: JobSpec) -> dict[str, Any]:
    if not isinstance(spec, AdapterSpec):
        return {}
    found: dict[str, Any] = {"moments": MOMENTS[spec.optimizer], "critic": hasattr(spec, "critic_learning_rate")}
    if spec.tuning != "full":
        found["trained"] = adapter_parameters(shape, spec.lora_rank)
    if spec.tuning == "qlora":
        found["weight"] = QUANTIZED[spec.quantization]
    return found


def shape_of(workspace: Workspace, spec: JobSpec, field: str | None = None) -> Shape | None:
    """The model that a spec trains or asks, or the one that `field` names; None when there is none, or when it is still
    to be made."""
    for reference in references(spec):
        if reference.pick != "model" or reference.field != (field or reference.field):
            continue
        try:
            info = check_model(workspace, reference.value)
        except Problem:
            return None
        try:
            base = config_folder(info.path)
        except Problem:
            return None
        weights = info.parameters if base == info.path else model_parameters(base)
        return _shape(weights or 0, read_json(base / "config.json") or {})
    architecture = getattr(spec, "architecture", None)
    tokenizer = next((r.value for r in references(spec) if r.pick == "tokenizer"), None)
    if field or architecture is None or tokenizer is None:
        return None
    try:
        made: Architecture = architecture(vocabulary_size(model_path(workspace, tokenizer)) or 256)
    except Problem:
        return None
    return Shape(
        parameter_count(made), made.hidden_size, made.layers, made.intermediate_size,
        made.kv_heads * made.head_dim, made.vocab_size,
    )  # fmt: skip


def _shape(parameters: int, config: dict[str, Any]) -> Shape:
    def number(name: str, default: int) -> int:
        value = config.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default

    hidden = number("hidden_size", 1024)
    heads = number("num_attention_heads", 8)
    kv = number("num_key_value_heads", heads) * number("head_dim", max(1, hidden // heads))
    return Shape(
        parameters, hidden, number("num_hidden_layers", 12), number("intermediate_size", 4 * hidden), kv,
        number("vocab_size", 32_000),
    )  # fmt: skip
