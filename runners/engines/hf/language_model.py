"""Next-token training on prepared ids: TRL's SFTTrainer, with the plain cross-entropy where the logits are small."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import Trainer
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from platform_core.algorithms.training import TrainingSpec
from runners.engines.hf import together
from runners.engines.hf.trainer import training_arguments
from runners.job import Run

SMALL_LOGITS = 64 << 20
"""Bytes of a batch's logits up to which computing them whole is faster than TRL's chunked head."""


class PlainLossTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer whose loss is the model's own cross-entropy.

    The same value without the chunked language-model head, which saves memory on large vocabularies and costs a fifth
    of a step on small ones.
    """

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        inputs["use_cache"] = False
        labels = inputs["labels"]
        loss, outputs = Trainer.compute_loss(self, model, inputs, True, num_items_in_batch)
        with torch.no_grad():
            target = labels[:, 1:]
            valid = target != -100
            right = (outputs.logits[:, :-1].argmax(-1) == target) & valid
            seen = together.summed(torch.stack([right.sum(), valid.sum(), tokens_in(inputs)]).tolist())
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["mean_token_accuracy"].append(seen[0] / max(seen[1], 1))
        if mode == "train":
            self._total_train_tokens += int(seen[2])
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
        return (loss, outputs) if return_outputs else loss


class PackedTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer that counts the tokens of packed rows right: it takes them for a single one."""

    def compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any], *more: Any, **named: Any) -> Any:
        before = self._total_train_tokens
        loss = super().compute_loss(model, inputs, *more, **named)
        if self.model.training and "attention_mask" not in inputs:
            self._total_train_tokens = before + int(tokens_in(inputs))
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return loss


def tokens_in(inputs: dict[str, Any]) -> torch.Tensor:
    """Tokens of a batch without padding; where only positions tell, a text is counted by its second token, too."""
    if "attention_mask" in inputs:
        return inputs["attention_mask"].sum()
    positions = inputs["position_ids"]
    return (positions > 0).sum() + (positions == 1).sum()


def language_model_trainer(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    data: Dataset,
    run: Run,
    spec: TrainingSpec,
    max_length: int,
    *,
    adapter: LoraConfig | None = None,
    measured: Dataset | None = None,
    collator: Any = None,
    kind: Any = None,
    **more: Any,
) -> SFTTrainer:
    """A trainer for rows with `input_ids` and `labels` of at most `max_length` tokens.

    `adapter` is put on the model; the loss on the rows of `measured` is reported, too. `collator` makes the batches of
    packed rows, `kind` is a trainer with another loss. `more` goes to the SFTConfig.
    """
    ready = {"skip_prepare_dataset": True}
    arguments = SFTConfig(**training_arguments(run, spec), max_length=max_length, dataset_kwargs=ready, **more)
    logits = 4 * spec.batch_size * max_length * model.get_output_embeddings().weight.shape[0]
    plain = PlainLossTrainer if logits <= SMALL_LOGITS else PackedTrainer if collator else SFTTrainer
    return (kind or plain)(
        model=model,
        args=arguments,
        train_dataset=data,
        eval_dataset=measured,
        processing_class=tokenizer,
        peft_config=adapter,
        data_collator=collator,
    )
