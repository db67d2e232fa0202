"""Train a tokenizer: byte-level BPE (Sennrich et al. 2016; GPT-2's byte alphabet) on a dataset of texts."""

from __future__ import annotations

from platform_core.algorithms.registry import Algorithm
from platform_core.jobs.spec import JobSpec, setting


class TokenizerSpec(JobSpec):
    dataset: str = setting(title="Dataset", help="Texts from which the vocabulary is learned.", pick="dataset")
    vocab_size: int = setting(
        512,
        title="Vocabulary",
        help="Tokens, the 256 bytes and the special ones included.",
        unit="tokens",
        ge=260,
        le=1_000_000,
        recommended=(512, 150_000),
    )
    split_digits: bool = setting(
        True, title="Split digits", help="Every digit is a token of its own: small models learn arithmetic far better."
    )
    context_length: int = setting(
        2048,
        title="Context length",
        help="Longest input, written into the tokenizer.",
        unit="tokens",
        advanced=True,
        ge=8,
        le=10_000_000,
    )
    max_rows: int | None = setting(
        None, title="Rows used", empty="all", help="Empty: all rows of the dataset.", unit="rows", advanced=True, ge=1
    )


ALGORITHM = Algorithm(
    name="tokenizer",
    title="Tokenizer",
    summary="Learn a vocabulary from your texts. The first step of a model from scratch.",
    icon="token",
    role="prepare",
    spec=TokenizerSpec,
    program="tokenizer",
    metrics=("bytes_per_token",),
    dataset_format="pretrain",
    order=10,
)
