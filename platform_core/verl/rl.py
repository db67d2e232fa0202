"""Reinforcement learning as overrides of verl's `ppo_trainer` config (`verl.trainer.main_ppo`)."""

from __future__ import annotations

from typing import Any

from platform_core.algorithms.ppo import PPOSpec
from platform_core.algorithms.rollout import RolloutSpec
from platform_core.verl.common import adapter, attention, precision, resume, schedule
from platform_core.verl.override import Override as O
from platform_core.verl.setup import Setup

CONFIG = "ppo_trainer"
KL_ESTIMATORS = {"k1": "kl", "k2": "mse", "k3": "low_var_kl"}
NO_CLIP = 1e9
PLAIN_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""A chat template that changes nothing: the model reads the dataset's text."""
MOST_WORKERS = 8


def overrides(spec: RolloutSpec, setup: Setup) -> list[O]:
    """The settings of a job in verl's keys. One step answers `prompts_of` prompts `num_generations` times each."""
    world = setup.gpus_per_node * spec.nodes
    prompts = prompts_of(spec, world)
    workers = 1 if setup.device == "cpu" else max(n for n in range(1, MOST_WORKERS + 1) if prompts % n == 0)
    return [
        *([O("model_engine", "megatron")] if spec.strategy == "megatron" else []),
        *_data(spec, setup, prompts),
        O("actor_rollout_ref.model.path", str(setup.model)),
        O("actor_rollout_ref.model.enable_gradient_checkpointing", spec.gradient_checkpointing),
        *([O("actor_rollout_ref.model.custom_chat_template", PLAIN_TEMPLATE)] if setup.plain else []),
        *attention("actor_rollout_ref.model", setup),
        *adapter("actor_rollout_ref.model", spec, merge=True),
        *_actor(spec, setup, prompts),
        *_reference(spec, setup),
        *_rollout(spec, setup, workers),
        *(_critic(spec, setup) if isinstance(spec, PPOSpec) else []),
        *_algorithm(spec),
        *_reward(setup, workers),
        *_trainer(spec, setup),
    ]


def prompts_of(spec: RolloutSpec, world: int) -> int:
    """Prompts of one step, a whole rollout: what `world` GPUs take in all updates on it, in groups."""
    return spec.rollout * world // spec.num_generations


def _data(spec: RolloutSpec, setup: Setup, prompts: int) -> list[O]:
    return [
        O("data.train_files", setup.train_file),
        O("data.val_files", setup.validation_file if setup.validation else setup.train_file),
        O("data.train_batch_size", prompts),
        O("data.max_prompt_length", setup.prompt_length),
        O("data.max_response_length", spec.max_completion_length),
        O("data.seed", spec.seed),
        O("data.dataloader_num_workers", 0),
    ]


def _actor(spec: RolloutSpec, setup: Setup, prompts: int) -> list[O]:
    low, high = spec.clip_epsilon, spec.clip_epsilon_high or spec.clip_epsilon
    in_loss = bool(spec.kl_coef) and not spec.kl_in_reward
    return [
        *_sharding("actor_rollout_ref.actor", "fsdp_config", spec, setup),
        *schedule("actor_rollout_ref.actor.optim", spec, spec.learning_rate, setup),
        O("actor_rollout_ref.actor.ppo_mini_batch_size", prompts // spec.minibatches),
        O("actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu", spec.batch_size),
        O("actor_rollout_ref.actor.ppo_epochs", spec.num_iterations),
        O("actor_rollout_ref.actor.clip_ratio", low),
        O("actor_rollout_ref.actor.clip_ratio_low", low),
        O("actor_rollout_ref.actor.clip_ratio_high", high),
        *([O("actor_rollout_ref.actor.policy_loss.loss_mode", spec.policy_loss)] if spec.policy_loss else []),
        *_aggregation(spec),
        O("actor_rollout_ref.actor.calculate_entropy", True),
        O("actor_rollout_ref.actor.entropy_coeff", getattr(spec, "entropy_coef", 0.0)),
        O("actor_rollout_ref.actor.use_kl_loss", in_loss),
        *(_kl_loss(spec) if in_loss else []),
        O("actor_rollout_ref.actor.data_loader_seed", spec.seed),
        *([O("actor_rollout_ref.actor.use_torch_compile", False)] if setup.device == "cpu" else []),
    ]


def _kl_loss(spec: RolloutSpec) -> list[O]:
    """k3; with `+` its gradient is that of k2, and so of the KL itself (verl's `kl_penalty`)."""
    estimator = "low_var_kl+" if getattr(spec, "kl_correction", False) else "low_var_kl"
    prefix = "actor_rollout_ref.actor"
    return [O(f"{prefix}.kl_loss_coef", spec.kl_coef), O(f"{prefix}.kl_loss_type", estimator)]


def _aggregation(spec: RolloutSpec) -> list[O]:
    """How token losses are averaged; DAPO over the batch, GRPO and GSPO a sequence, Dr. GRPO by a constant."""
    loss = getattr(spec, "loss_type", spec.loss_average)
    mode = {"grpo": "seq-mean-token-mean", "dr_grpo": "seq-mean-token-sum-norm"}.get(loss, "token-mean")
    found = [O("actor_rollout_ref.actor.loss_agg_mode", mode)]
    if loss == "dr_grpo":
        found.append(O("actor_rollout_ref.actor.loss_scale_factor", spec.max_completion_length))
    return found


def _sharding(prefix: str, part: str, spec: RolloutSpec, setup: Setup) -> list[O]:
    """How the weights at `prefix` are spread, offloaded and computed in; `part`: verl's name of FSDP's settings."""
    if spec.strategy == "megatron":
        block = f"{prefix}.megatron"
        return [
            O(f"{block}.param_offload", spec.param_offload),
            O(f"{block}.optimizer_offload", spec.optimizer_offload),
            O(f"{block}.seed", spec.seed),
            *precision(block, spec, setup),
        ]
    block = f"{prefix}.{part}"
    return [
        O(f"{prefix}.strategy", spec.strategy),
        O(f"{block}.strategy", spec.strategy),
        O(f"{block}.param_offload", spec.param_offload),
        O(f"{block}.optimizer_offload", spec.optimizer_offload),
        O(f"{block}.seed", spec.seed),
        *precision(block, spec, setup),
    ]


def _reference(spec: RolloutSpec, setup: Setup) -> list[O]:
    prefix = "actor_rollout_ref.ref"
    micro = O(f"{prefix}.log_prob_micro_batch_size_per_gpu", spec.batch_size)
    if not spec.kl_coef:
        return [micro]
    if spec.strategy == "megatron":
        return [micro, O(f"{prefix}.megatron.param_offload", spec.param_offload)]
    block = f"{prefix}.fsdp_config"
    return [
        micro,
        O(f"{block}.strategy", spec.strategy),
        O(f"{block}.param_offload", spec.param_offload),
        *precision(block, spec, setup),
        *([O(f"{prefix}.use_torch_compile", False)] if setup.device == "cpu" else []),
    ]


def _rollout(spec: RolloutSpec, setup: Setup, workers: int) -> list[O]:
    prefix = "actor_rollout_ref.rollout"
    if setup.device == "cpu":
        server = [O(f"{prefix}.name", "transformers"), O(f"{prefix}.dtype", "float32")]
    else:
        server = [
            O(f"{prefix}.name", "vllm"),
            O(f"{prefix}.dtype", spec.dtype),
            O(f"{prefix}.gpu_memory_utilization", spec.gpu_memory_utilization),
        ]
    return [
        *server,
        O(f"{prefix}.tensor_model_parallel_size", spec.rollout_tensor_parallel),
        O(f"{prefix}.n", spec.num_generations),
        O(f"{prefix}.temperature", spec.temperature),
        O(f"{prefix}.top_p", spec.top_p),
        O(f"{prefix}.seed", spec.seed),
        O(f"{prefix}.log_prob_micro_batch_size_per_gpu", spec.batch_size),
        O(f"{prefix}.agent.num_workers", workers),
    ]


def _critic(spec: PPOSpec, setup: Setup) -> list[O]:
    """PPO's value model: it starts from the same weights, or from those that the spec names."""
    return [
        O("critic.model.path", str(setup.critic or setup.model)),
        O("critic.model.enable_gradient_checkpointing", spec.gradient_checkpointing),
        *attention("critic.model", setup),
        *adapter("critic.model", spec),
        *_sharding("critic", "fsdp", spec, setup),
        *schedule("critic.optim", spec, spec.critic_learning_rate, setup),
        O("critic.ppo_micro_batch_size_per_gpu", spec.batch_size),
        O("critic.cliprange_value", NO_CLIP if spec.value_clip is None else spec.value_clip),
        O("critic.data_loader_seed", spec.seed),
        O("trainer.critic_warmup", spec.critic_warmup_steps),
        O("algorithm.gamma", spec.gamma),
        O("algorithm.lam", spec.gae_lambda),
    ]


def _algorithm(spec: Any) -> list[O]:
    with_group = getattr(spec, "baseline", "batch") == "group"
    found = [O("algorithm.adv_estimator", spec.adv_estimator + ("_baseline" if with_group else ""))]
    if hasattr(spec, "scaling"):
        found.append(O("algorithm.norm_adv_by_std_in_grpo", spec.scaling == "group"))
    in_reward = bool(spec.kl_coef) and spec.kl_in_reward
    found.append(O("algorithm.use_kl_in_reward", in_reward))
    if in_reward:
        found.append(O("algorithm.kl_ctrl.kl_coef", spec.kl_coef))
        found.append(O("algorithm.kl_penalty", KL_ESTIMATORS[getattr(spec, "kl_estimator", "k1")]))
    return found


def _reward(setup: Setup, workers: int) -> list[O]:
    found = [O("reward.num_workers", workers)]
    if setup.reward is None:
        return found
    prefix = "reward.custom_reward_function"
    return [
        *found,
        O(f"{prefix}.path", setup.reward.path),
        O(f"{prefix}.name", setup.reward.name),
        *([O(f"{prefix}.reward_kwargs", dict(setup.reward.arguments), adds=True)] if setup.reward.arguments else []),
    ]


def _trainer(spec: RolloutSpec, setup: Setup) -> list[O]:
    ray: list[O] = [O("ray_kwargs.ray_init.include_dashboard", False, adds=True)]
    if spec.ray_address:
        ray = [O("ray_kwargs.ray_init.address", spec.ray_address, adds=True)]
    else:
        ray.append(O("ray_kwargs.ray_init._temp_dir", setup.ray_folder, adds=True))
        if setup.device == "cpu":  # verl places its workers on GPUs: Ray is told of one that is not there
            ray += [O("ray_kwargs.ray_init.num_cpus", 8), O("ray_kwargs.ray_init.num_gpus", 1, adds=True)]
    queue = [O("transfer_queue.backend.SimpleStorage.num_data_storage_units", 1)] if setup.device == "cpu" else []
    return [
        O("trainer.device", setup.device),
        O("trainer.nnodes", spec.nodes),
        O("trainer.n_gpus_per_node", setup.gpus_per_node),
        O("trainer.total_epochs", setup.total_epochs),
        O("trainer.total_training_steps", setup.total_steps),
        O("trainer.val_before_train", False),
        O("trainer.test_freq", setup.eval_every if setup.validation else -1),
        O("trainer.rollout_data_dir", str(setup.rollouts)),
        O("trainer.validation_data_dir", str(setup.validations) if setup.validation else None),
        *resume(setup),
        *queue,
        *ray,
    ]
