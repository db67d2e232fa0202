"""A loss that weighs the tokens of the reasoning apart from those of the answer."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl.trainer.sft_trainer import SFTTrainer

from runners.engines.hf.conversation import IGNORED
from runners.engines.hf.language_model import tokens_in


class WeightedTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer with loss = Σ w·ce / Σ w over the tokens of the global batch, w = `reasoning_weight` where the batch's
    `reasoning` is 1, else 1. Reports the plain mean of each part, too."""

    def __init__(self, *args: Any, reasoning_weight: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self.reasoning_weight = reasoning_weight
        self.model_accepts_loss_kwargs = True  # so that the weights of all accumulated batches are summed

    def weights(self, batch: dict[str, Any]) -> torch.Tensor:
        """What each predicted token weighs: (rows, tokens - 1)."""
        learned = batch["labels"][:, 1:] != IGNORED
        return (1 + (self.reasoning_weight - 1) * batch["reasoning"][:, 1:]) * learned

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> torch.Tensor:
        weight = torch.stack([self.weights(batch).sum() for batch in batch_samples]).sum().to(device)
        shared = self.args.average_tokens_across_devices and self.args.world_size > 1
        return self.accelerator.gather(weight).sum() if shared else weight

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        weights = self.weights(inputs)
        rest = {name: value for name, value in inputs.items() if name not in ("labels", "reasoning")}
        outputs = model(**rest, use_cache=False)
        logits, target = outputs.logits[:, :-1].float(), inputs["labels"][:, 1:]
        losses = cross_entropy(logits.transpose(1, 2), target, ignore_index=IGNORED, reduction="none")
        whole = weights.sum() if num_items_in_batch is None else num_items_in_batch
        loss = (losses * weights).sum() / whole.clamp(min=1e-8)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes
        self.measure(inputs, losses.detach(), logits.detach(), target)
        return (loss, outputs) if return_outputs else loss

    def measure(self, inputs: dict[str, Any], losses: torch.Tensor, logits: torch.Tensor, target: torch.Tensor) -> None:
        """Note the share of right tokens, the mean loss of reasoning and answer, and the tokens seen."""
        learned = target != IGNORED
        mode = "train" if self.model.training else "eval"
        right = (logits.argmax(-1) == target) & learned
        found = self._metrics[mode]
        found["mean_token_accuracy"].append(right.sum().item() / max(int(learned.sum()), 1))
        between = inputs["reasoning"][:, 1:] > 0
        for name, part in (("reasoning_loss", learned & between), ("answer_loss", learned & ~between)):
            if part.any():
                found[name].append(losses[part].mean().item())
        if mode == "train":
            self._total_train_tokens += int(tokens_in(inputs))
        found["num_tokens"] = [self._total_train_tokens]
