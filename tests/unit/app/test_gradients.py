"""The monitor's views of gradients and samples: what they say, and what the address asks for."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from app.samples import prompt_name
from platform_core.jobs.folder import metrics_file
from platform_core.jobs.store import Job
from platform_core.metrics.writer import Writer
from platform_core.workspace.service import Workspace
from tests.unit.app.runs import add_job

Open = Callable[..., AppTest]
LAYERS = ["embed_tokens", "layer.0", "layer.1", "layer.2", "norm"]


def said(at: AppTest) -> str:
    return "\n".join(e.value for e in [*at.markdown, *at.caption, *at.warning, *at.error]).replace("\\", "")


def trained(workspace: Workspace, norms: list[float]) -> Job:
    """A GRPO job with gradient norms, rewards and the rollouts of two prompts."""
    job = add_job(workspace, "completed", kind="grpo", steps=40)
    with Writer(metrics_file(workspace, job)) as writer:
        for step in range(1, 41):
            writer.metrics(step, {"grad_norm": 1.0, "reward": step / 40})
            writer.vector("grad_norm", step, LAYERS, norms)
            writer.vector("reward", step, ["0", "1"], [0.0, step / 40])
            for prompt in ("1+1=", "<b>2+2=</b>"):
                writer.sample(step, prompt=prompt, completion=str(step), reward=step / 40, truncated=step == 3)
    return job


def test_a_layer_without_gradient_is_named(opened: Open, workspace: Workspace) -> None:
    at = opened("monitor", job=trained(workspace, [1, 1, 0, 1, 1]).id, view="gradients")
    assert not at.exception
    assert "learn nothing: layer.1." in said(at)
    assert "Rule: " in said(at)


def test_even_norms_are_said_to_be_fine(opened: Open, workspace: Workspace) -> None:
    at = opened("monitor", job=trained(workspace, [1, 1, 1, 1, 1]).id, view="gradients")
    assert "evenly enough" in said(at)
    assert not at.warning


def test_the_range_of_steps_is_part_of_the_address(opened: Open, workspace: Workspace) -> None:
    job = trained(workspace, [1, 1, 1, 1, 1])
    at = opened("monitor", job=job.id, view="gradients", **{"gradients.from": "5", "gradients.to": "8"})
    assert [n.value for n in at.number_input] == [5, 8]
    assert "Too few steps to judge: 4" in said(at)
    empty = opened("monitor", job=job.id, view="gradients", **{"gradients.from": "500"})
    assert "widen the range" in said(empty)


def test_a_job_without_norms_says_when_they_come(opened: Open, workspace: Workspace) -> None:
    at = opened("monitor", job=add_job(workspace, "running").id, view="gradients")
    assert "No gradient norm by layer yet" in said(at)


def test_one_prompt_is_followed_from_the_first_step_on(opened: Open, workspace: Workspace) -> None:
    job = trained(workspace, [1, 1, 1, 1, 1])
    at = opened("monitor", job=job.id, view="samples", prompt=prompt_name("<b>2+2=</b>"))
    assert not at.exception
    assert "One prompt through the training" in said(at)
    assert [b.label for b in at.button if b.key == "samples.back"] == ["All samples"]
    unknown = opened("monitor", job=job.id, view="samples", prompt="nothing")
    assert "No sample fits" in said(unknown)


def test_rewards_that_no_sample_has_are_said_and_nonsense_in_the_address_is_none(
    opened: Open, workspace: Workspace
) -> None:
    job = trained(workspace, [1, 1, 1, 1, 1])
    assert "No sample fits" in said(opened("monitor", job=job.id, view="samples", least="2"))
    at = opened("monitor", job=job.id, view="samples", least="nan", most="x")
    assert [n.value for n in at.number_input] == [None, None]
