"""Rollouts by transformers on a CPU, in the place of vLLM: verl's rollout backend "transformers"."""

from __future__ import annotations

import os
from typing import Any

import ray
from verl.workers.rollout import base
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry

from runners.engines.verl.rollout_server import Server

NAME = "transformers"
SERVER = "lathe_rollout_{rank}"


class Replica(RolloutReplica):  # type: ignore[misc]
    """verl's handle on one server."""

    def rollout_worker_use_gpu(self) -> bool:
        return True

    async def launch_servers(self) -> None:
        config = self.model_config
        path = config.get("path") if hasattr(config, "get") else config.path
        name = SERVER.format(rank=self.replica_rank)
        server = (
            ray.remote(Server)
            .options(name=name, num_cpus=0, max_concurrency=self.max_concurrency)
            .remote(self.config, path)
        )
        self.servers = [server]
        address, port = await server.get_server_address.remote()
        self._server_handle, self._server_address = server, f"{name}@{address}:{port}"


class Adapter(BaseRollout):  # type: ignore[misc]
    """The trainer's side: hands new weights to the server."""

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, replica_rank: int = -1) -> None:
        super().__init__(config, model_config, device_mesh)
        self.rank, self.server, self.sleep_level = int(os.environ.get("RANK", 0)), None, 2

    async def resume(self, tags: Any) -> None: ...

    async def release(self) -> None: ...

    async def update_weights(self, weights: Any, global_steps: int | None = None, **more: Any) -> None:
        if more.get("peft_config") is not None and more.get("base_sync_done"):
            raise NotImplementedError("rollouts by transformers take merged weights: model.lora.merge=True")
        self.server = self.server or ray.get_actor(SERVER.format(rank=self.rank))
        state = {name: tensor.detach().to("cpu").clone() for name, tensor in weights}
        taken, unknown = await self.server.update_weights.remote(state, global_steps)
        if not taken or unknown:
            raise RuntimeError(f"{taken} weights arrived at the rollout server; it does not know {unknown[:5]}")


def register() -> None:
    """Make the backend known to verl."""
    base._ROLLOUT_REGISTRY[(NAME, "async")] = f"{__name__}.Adapter"
    RolloutReplicaRegistry.register(NAME, lambda: Replica)
