"""The model that answers while a training on verl runs on a CPU, as a Ray actor.

It takes new weights after each update, and answers requests that arrive within a moment of each other as one batch. It
samples with the seed of the config and the step. A worker of Ray imports this before verl: verl is imported late.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray
import torch

GATHER_SECONDS = 0.02
MOST_AT_ONCE = 64
Request = tuple[list[int], dict[str, Any], "asyncio.Future[tuple[list[int], list[float]]]"]


class Server:
    """The model that answers."""

    def __init__(self, config: Any, path: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.config, self.global_steps = config, None
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa").eval()
        tokenizer = AutoTokenizer.from_pretrained(path)
        ends = self.model.generation_config.eos_token_id
        ends = tokenizer.eos_token_id if ends is None else ends
        self.ends = set(ends if isinstance(ends, list) else [ends])
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self.ends)
        self.seed = int(config.get("seed", 0) if hasattr(config, "get") else getattr(config, "seed", 0))
        self.lock = asyncio.Lock()
        self.waiting: list[Request] = []

    async def get_server_address(self) -> tuple[str, int]:
        return ray.util.get_node_ip_address(), 0

    async def update_weights(
        self, state: dict[str, torch.Tensor], global_steps: int | None = None
    ) -> tuple[int, list[str]]:
        """Take over weights by name; how many, and the names that the model does not have."""
        own = self.model.state_dict()
        with torch.no_grad():
            for name, tensor in state.items():
                if name in own:
                    own[name].copy_(tensor)
        self.global_steps = global_steps
        torch.manual_seed(self.seed + (global_steps or 0))  # a run that goes on samples as it would have
        return sum(name in own for name in state), [name for name in state if name not in own]

    async def generate(
        self, prompt_ids: list[int], sampling_params: dict[str, Any], request_id: str, **more: Any
    ) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        answer: asyncio.Future[tuple[list[int], list[float]]] = asyncio.get_running_loop().create_future()
        self.waiting.append((list(prompt_ids), dict(sampling_params), answer))
        await asyncio.sleep(GATHER_SECONDS)
        async with self.lock:
            if not answer.done():
                await self._answer_with(answer)
        ids, log_probs = await answer
        steps = {"global_steps": self.global_steps}
        return TokenOutput(token_ids=ids, log_probs=log_probs, stop_reason="completed", extra_fields=steps)

    async def _answer_with(self, answer: Any) -> None:
        """Answer all that wait for the same sampling as this one, this one among them."""
        sampling = next(params for _, params, who in self.waiting if who is answer)
        alike = sorted((r for r in self.waiting if r[1] == sampling), key=lambda r: r[2] is not answer)[:MOST_AT_ONCE]
        taken = {id(who) for _, _, who in alike}
        self.waiting = [r for r in self.waiting if id(r[2]) not in taken]
        alike.sort(key=lambda r: r[0])  # they arrive in any order, and must be sampled in one
        try:
            found = await asyncio.to_thread(self._generate, [ids for ids, _, _ in alike], sampling)
            for (_, _, who), one in zip(alike, found, strict=True):
                who.set_result(one)
        except Exception as error:
            for _, _, who in alike:
                who.set_exception(error)

    @torch.no_grad()
    def _generate(self, prompts: list[list[int]], sampling: dict[str, Any]) -> list[tuple[list[int], list[float]]]:
        """Ids and log-probabilities of an answer to each prompt, up to the end token or the allowed length."""
        longest = max(map(len, prompts))
        ids = torch.full((len(prompts), longest), self.pad)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        most = sampling.get("max_tokens") or sampling.get("max_new_tokens") or self.config.response_length
        temperature = float(sampling.get("temperature", 1.0))
        how: dict[str, Any] = {"do_sample": temperature > 0}
        if temperature > 0:
            top_k = max(0, int(sampling.get("top_k", -1)))
            how |= {"temperature": temperature, "top_p": sampling.get("top_p", 1.0), "top_k": top_k}
        made = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=most,
            pad_token_id=self.pad,
            eos_token_id=sorted(self.ends),
            return_dict_in_generate=True,
            output_logits=True,
            **how,
        )
        logits = torch.stack(made.logits, 1).float() / (temperature or 1.0)
        log_probs = logits.log_softmax(-1)
        answers = []
        for row, tokens in enumerate(made.sequences[:, longest:].tolist()):
            end = next((at + 1 for at, token in enumerate(tokens) if token in self.ends), len(tokens))
            answers.append((tokens[:end], [log_probs[row, at, token].item() for at, token in enumerate(tokens[:end])]))
        return answers

    async def set_global_steps(self, steps: int) -> None:
        self.global_steps = steps

    async def abort_all_requests(self, reject_request: bool = False) -> dict[str, Any]:
        return {"aborted_count": 0, "request_ids": []}

    async def nothing(self, *arguments: Any, **more: Any) -> None:
        """On a CPU there is no memory to give back between rollout and update."""

    wake_up = sleep = clear_kv_cache = release_kv_cache = resume_kv_cache = resume_generation = nothing
    start_profile = stop_profile = nothing
