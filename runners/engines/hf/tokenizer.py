"""Byte-level BPE (Sennrich et al. 2016, on GPT-2's byte alphabet) trained with the `tokenizers` library."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from platform_core.algorithms.tokenizer import TokenizerSpec
from runners.engines.hf.data import load_rows
from runners.engines.hf.model import save_lineage
from runners.job import Run
from runners.report import Report

PAD, EOS = "<pad>", "<eos>"


def train(run: Run, report: Report) -> dict[str, object]:
    """Learn a vocabulary as the job's TokenizerSpec says and leave a Hugging Face tokenizer folder in `run.output`."""
    spec = run.spec
    assert isinstance(spec, TokenizerSpec)
    report.resume_at(0)
    texts = [row["text"] for row in load_rows(run.paths["dataset"], "pretrain", report, limit=spec.max_rows)]
    report.progress(0, 1)
    tokenizer = learn(texts, spec)
    report.phase("measuring")
    tokens = sum(len(e.ids) for e in tokenizer.encode_batch(texts))
    result = {
        "bytes_per_token": sum(len(t.encode()) for t in texts) / max(tokens, 1),
        "vocab_size": tokenizer.get_vocab_size(),
        "tokens": tokens,
    }
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        padding_side="left",
        model_max_length=spec.context_length,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(run.output)
    save_lineage(run)
    report.metrics(1, {name: float(value) for name, value in result.items()})
    report.progress(1, 1)
    return dict(result)


def learn(texts: list[str], spec: TokenizerSpec) -> Tokenizer:
    """The BPE model of `texts`; the same texts give the same one."""
    tokenizer = Tokenizer(models.BPE())
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = [pre_tokenizers.Digits(individual_digits=True)] if spec.split_digits else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*digits, bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=spec.vocab_size,
        special_tokens=[PAD, EOS],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
