"""Train as config.json beside this file says: pretraining, SFT or GRPO with transformers and TRL alone.

`python train.py` writes metrics.jsonl (one JSON object a report) and the model into output/, both beside this file.
The same versions (requirements.txt), inputs, threads and processor give the same numbers bit for bit on a CPU.
"""

import hashlib
import json
import os
import re
import sys
from itertools import islice
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = json.loads((HERE / "config.json").read_text(encoding="utf-8"))
os.environ["OMP_NUM_THREADS"] = str(CONFIG["threads"])
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with more GPUs the Trainer would start DataParallel
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np  # noqa: E402
import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import (  # noqa: E402
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PrinterCallback,
    Trainer,
    TrainerCallback,
)
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer  # noqa: E402

IGNORED = -100
SMALL_LOGITS = 64 << 20
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def place(path):
    """A path of config.json: absolute, or beside this file."""
    return HERE / path


def check_inputs():
    """End when an input is missing or not the one that the job was trained on."""
    for part in CONFIG["inputs"].values():
        for name, checksum in part["sha256"].items():
            path = place(part["path"])
            path = path / name if path.is_dir() else path
            if not path.is_file():
                sys.exit(f"{path} is missing: put it there, or set its path in config.json")
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                    sys.exit(f"{path} is not what the job was trained on: its sha256 differs")


def load_tokenizer(part):
    """The tokenizer of an input, with a padding token."""
    tokenizer = AutoTokenizer.from_pretrained(place(CONFIG["inputs"][part]["path"]), trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model():
    """The start model in float32, from safetensors only."""
    folder = place(CONFIG["inputs"]["model"]["path"])
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )


def build_model(settings, tokenizer):
    """A model with random weights, reproducible by the seed."""
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": settings["hidden_size"],
        "num_hidden_layers": settings["layers"],
        "num_attention_heads": settings["heads"],
        "num_key_value_heads": settings["kv_heads"],
        "head_dim": settings["hidden_size"] // settings["heads"],
        "intermediate_size": settings["intermediate_size"],
        "max_position_embeddings": settings["context_length"],
        "tie_word_embeddings": settings["tie_embeddings"],
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }
    if settings["family"] == "qwen3_moe":
        sizes["num_experts"] = settings["experts"]
        sizes["num_experts_per_tok"] = settings["experts_per_token"]
        sizes["moe_intermediate_size"] = settings["moe_intermediate_size"]
    torch.manual_seed(settings["seed"])
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(settings["family"], **sizes), dtype=torch.float32)


def context_length(model):
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def read_rows():
    """Rows of the dataset, JSON Lines: text, or prompt and completion, or messages, or prompt and answer."""
    with place(CONFIG["inputs"]["dataset"]["path"]).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def encode(texts, tokenizer):
    """Ids of each text, uncut and unpadded."""
    if not tokenizer.is_fast:
        return [list(ids) for ids in tokenizer(texts)["input_ids"]]
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return [encoding.ids for encoding in backend.encode_batch_fast(texts)]


def packed(texts, tokenizer, length):
    """All texts in one stream, an end-of-text token after each, cut into rows of `length` tokens."""
    end = tokenizer.eos_token or ""
    ids = encode([text if text.endswith(end) else text + end for text in texts], tokenizer)
    stream = np.concatenate([np.asarray(one, "i4") for one in ids])
    rows = len(stream) // length
    table = stream[: rows * length].reshape(rows, length) if rows else stream[None, :]
    return Dataset.from_dict({"input_ids": list(table), "labels": list(table)})


def common_prefix(a, b):
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def rendered(messages, tokenizer, tools, **more):
    if not messages:
        return []
    return list(tokenizer.apply_chat_template(messages, tools=tools, tokenize=True, return_dict=True, **more).input_ids)


def answered(row, tokenizer):
    """Ids of a row, and labels on what the model is to say."""
    if "messages" in row:
        messages, tools = row["messages"], row.get("tools")
        whole = rendered(messages, tokenizer, tools)
        labels = [IGNORED] * len(whole)
        for at, message in enumerate(messages):
            if message["role"] == "assistant":
                asked = rendered(messages[:at], tokenizer, tools, add_generation_prompt=True)
                start = common_prefix(asked, whole)
                end = common_prefix(rendered(messages[: at + 1], tokenizer, tools), whole)
                labels[start:end] = whole[start:end]
        return whole, labels
    end = tokenizer.eos_token or ""
    answer = row["completion"] if row["completion"].endswith(end) else row["completion"] + end
    prompt, whole = encode([row["prompt"], row["prompt"] + answer], tokenizer)
    start = common_prefix(prompt, whole)
    return whole, [IGNORED] * start + whole[start:]


def supervised(rows, tokenizer, length, completion_only):
    """Rows as ids and labels; those without anything to learn within `length` are left out."""
    inputs, targets = [], []
    for row in rows:
        ids, labels = answered(row, tokenizer)
        ids, labels = ids[:length], (labels if completion_only else ids)[:length]
        if any(label != IGNORED for label in labels[1:]):
            inputs.append(ids)
            targets.append(labels)
    return Dataset.from_dict({"input_ids": inputs, "labels": targets})


class PlainLossTrainer(SFTTrainer):
    """SFTTrainer with the model's own cross-entropy: faster where the logits are small."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        inputs["use_cache"] = False
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)


class EpochOrderTrainer(GRPOTrainer):
    """GRPOTrainer whose order of prompts depends on seed and epoch alone."""

    def _get_train_sampler(self, dataset=None):
        sampler = super()._get_train_sampler(dataset)
        sampler.set_epoch = lambda epoch: sampler.generator.manual_seed(sampler.seed + epoch)
        return sampler


def extract(text, how, marker):
    """The answer in a text, or None."""
    if how == "whole":
        return text.strip()
    if how == "marker":
        return text.rpartition(marker)[2].strip() if marker in text else None
    found = NUMBER.findall(text)
    return found[-1].replace(",", "") if found else None


def exact_match(settings):
    """The reward: 1 for a completion whose answer equals the dataset's, else 0."""
    how, marker = settings["answer_extraction"], settings["answer_marker"]

    def reward(completions, answer, **more):
        rewards = []
        for completion, reference in zip(completions, answer, strict=True):
            got, wanted = extract(completion, how, marker), extract(reference, how, marker)
            rewards.append(float(got is not None and got == (reference.strip() if wanted is None else wanted)))
        return rewards

    reward.__name__ = "exact_match"
    return reward


def arguments(settings):
    """The settings as transformers' TrainingArguments name them."""
    device = settings["device"]
    found = torch.cuda.is_available() or torch.backends.mps.is_available()
    cpu = device == "cpu" or (device == "auto" and not found)
    return {
        "output_dir": str(HERE / "checkpoints"),
        "max_steps": settings["max_steps"] or -1,
        "num_train_epochs": settings["epochs"],
        "per_device_train_batch_size": settings["batch_size"],
        "gradient_accumulation_steps": settings["gradient_accumulation_steps"],
        "learning_rate": settings["learning_rate"],
        "lr_scheduler_type": settings["lr_scheduler"],
        "warmup_steps": settings["warmup_steps"],
        "weight_decay": settings["weight_decay"],
        "adam_beta2": settings["adam_beta2"],
        "max_grad_norm": settings["max_grad_norm"],
        "bf16": settings["dtype"] == "bfloat16",
        "gradient_checkpointing": settings["gradient_checkpointing"],
        "use_cpu": cpu,
        "dataloader_pin_memory": not cpu,
        "seed": settings["seed"],
        "logging_steps": settings["logging_steps"],
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def language_model_trainer(settings, model, tokenizer, data, length):
    """A trainer of the next token."""
    logits = 4 * settings["batch_size"] * length * model.get_output_embeddings().weight.shape[0]
    kind = PlainLossTrainer if logits <= SMALL_LOGITS else SFTTrainer
    config = SFTConfig(**arguments(settings), max_length=length, dataset_kwargs={"skip_prepare_dataset": True})
    return kind(model=model, args=config, train_dataset=data, processing_class=tokenizer)


def pretrain(settings):
    scratch = settings["start"] == "scratch"
    tokenizer = load_tokenizer("tokenizer" if scratch else "model")
    texts = [row["text"] for row in read_rows()]
    model = build_model(settings, tokenizer) if scratch else load_model()
    length = min(settings["max_length"], context_length(model) or settings["max_length"])
    data = packed(texts, tokenizer, length)
    return language_model_trainer(settings, model, tokenizer, data, length), tokenizer


def sft(settings):
    tokenizer = load_tokenizer("model")
    model = load_model()
    length = min(settings["max_length"], context_length(model) or settings["max_length"])
    data = supervised(read_rows(), tokenizer, length, settings["completion_only_loss"])
    return language_model_trainer(settings, model, tokenizer, data, length), tokenizer


def as_text(prompt, tokenizer):
    if isinstance(prompt, str):
        return prompt
    return tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)


def grpo(settings):
    tokenizer = load_tokenizer("model")
    rows = read_rows()
    prompts = [as_text(row["prompt"], tokenizer) for row in rows]
    model = load_model()
    length, context = settings["max_completion_length"], context_length(model)
    if context is not None:
        length = min(length, context - max(map(len, encode(prompts, tokenizer))))
    config = GRPOConfig(
        **arguments(settings),
        num_generations=settings["num_generations"],
        max_completion_length=length,
        temperature=settings["temperature"],
        top_k=0,
        beta=settings["kl_coef"],
        num_iterations=settings["num_iterations"],
        epsilon=settings["clip_epsilon"],
        loss_type=settings["loss_type"],
    )
    data = Dataset.from_dict({"prompt": prompts, "answer": [row["answer"] for row in rows]})
    trainer = EpochOrderTrainer(
        model=model,
        args=config,
        train_dataset=data,
        processing_class=tokenizer,
        reward_funcs=exact_match(settings),
    )
    return trainer, tokenizer


class Metrics(TrainerCallback):
    """Writes what the Trainer logs into metrics.jsonl and on the terminal."""

    def __init__(self):
        self.file = (HERE / "metrics.jsonl").open("w", encoding="utf-8")

    def on_log(self, args, state, control, logs=None, **more):
        if "train_runtime" in logs:
            return
        print(json.dumps({"step": state.global_step, **logs}), file=self.file, flush=True)
        shown = {name: logs[name] for name in islice(logs, 4)}
        print(f"step {state.global_step}/{state.max_steps}", shown, flush=True)


def main():
    """Check the inputs, train, save."""
    check_inputs()
    torch.set_num_threads(CONFIG["threads"])
    trainer, tokenizer = {"pretrain": pretrain, "sft": sft, "grpo": grpo}[CONFIG["kind"]](CONFIG["settings"])
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Metrics())
    trainer.train()
    trainer.model.config.use_cache = True
    trainer.model.save_pretrained(HERE / "output")
    tokenizer.save_pretrained(HERE / "output")


if __name__ == "__main__":
    main()
