"""SFT on verl learns what hf learns, step by step, also over a pause at the end of an epoch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.integration.engines.jobs import forked, make_job
from tests.integration.verl.jobs import SFT, checkpoints, curve, events, next_attempt, verl_job

STEPS = 5


@pytest.mark.timeout(600)
def test_paused_at_the_end_of_an_epoch_it_equals_hf(tmp_path: Path, files: dict[str, Path], taught: Path) -> None:
    """All rows are one batch, so that the order in which an engine shuffles them changes nothing: each step ends an
    epoch, where verl by itself would skip the next one.
    """
    more = {"max_steps": STEPS, "learning_rate": 1e-3, "warmup_steps": 1, "completion_only_loss": True}
    paths = {"model": taught, "dataset": files["digits"]}
    hf = make_job(tmp_path / "hf", "sft", {**SFT, **more, "engine": "hf"}, **paths)
    assert forked(hf) == 0, hf.log
    job = verl_job(tmp_path / "verl", "sft", {**SFT, **more}, pause_at=2, **paths)
    assert forked(job) == 0, job.log
    assert (job.result["status"], job.result["step"], checkpoints(job)) == ("paused", 2, ["step-2"])
    assert not (job.folder / "output").exists()
    next_attempt(job)
    assert forked(job) == 0, job.log
    assert job.result["status"] == "completed"
    assert "resumed" in events(job)
    assert checkpoints(job) == ["step-2", f"step-{STEPS}"]
    for name in ("loss", "grad_norm"):
        assert curve(job, name) == pytest.approx(curve(hf, name), rel=2e-3), name
    ours, theirs = (load_file(j.folder / "output" / "model.safetensors") for j in (job, hf))
    assert {name: t.dtype for name, t in ours.items()} == {name: t.dtype for name, t in theirs.items()}
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-2, atol=2e-4, msg=name)
    assert (job.folder / "output" / "lathe.json").is_file()
    assert not (job.folder / "attempts/2/verl/train.parquet").exists()
