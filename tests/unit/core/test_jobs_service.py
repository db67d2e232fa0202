"""The verbs of jobs on a real workspace, without a supervisor."""

import threading
from pathlib import Path

import pytest
import yaml

from platform_core.database.engine import reading, writing
from platform_core.errors import Problem
from platform_core.jobs import service, store
from platform_core.jobs.examine import examine
from platform_core.jobs.states import ACTIVE, NEXT, STARTABLE
from platform_core.workspace.service import Workspace, open_workspace
from tests.unit.core.folders import model_folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = open_workspace(tmp_path / "home")
    (made.datasets / "texts.jsonl").write_text('{"text": "one two three"}\n' * 10)
    return made


def tokenizer_job(workspace: Workspace, **more: object) -> store.Job:
    return service.create(workspace, "tokenizer", {"dataset": "texts.jsonl"}, **more)


def put(workspace: Workspace, job: store.Job, *path: str) -> None:
    """Walk a job through states, as a supervisor would."""
    with writing(workspace.engine) as connection:
        for before, after in zip((job.state, *path), path, strict=False):
            assert store.change_state(connection, job.id, [before], after, "test")


def test_create_writes_the_resolved_spec_beside_the_row(workspace: Workspace) -> None:
    job = tokenizer_job(workspace, name="My words")
    document = yaml.safe_load((workspace.job_folder(job.id) / "spec.yaml").read_text())
    assert document["spec"] == job.spec
    assert job.spec["cpu_slots"] == job.cpu_slots >= 1
    assert (job.name, job.state, job.kind) == ("My words", "pending", "tokenizer")


def test_a_rejected_spec_leaves_nothing(workspace: Workspace) -> None:
    with pytest.raises(service.Rejected, match=r"no dataset “gone\.jsonl”"):
        service.create(workspace, "tokenizer", {"dataset": "gone.jsonl"})
    assert list(workspace.jobs.iterdir()) == []
    assert service.list_jobs(workspace) == []


def test_a_dataset_of_the_wrong_format_is_named_before_anything_runs(workspace: Workspace) -> None:
    spec, findings = examine(workspace, "sft", {"dataset": "texts.jsonl", "model": "none"})
    assert spec is None
    by_field = {f.fields: str(f.text) for f in findings if f.level == "error"}
    assert "SFT needs a prompt and a response" in by_field[("dataset",)]
    assert "none" in by_field[("model",)]


def test_two_clicks_on_start_make_one_start(workspace: Workspace) -> None:
    job = tokenizer_job(workspace)
    gate = threading.Barrier(8)

    def click() -> None:
        gate.wait()
        service.start(workspace, job.id)

    threads = [threading.Thread(target=click) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    _, transitions = service.history(workspace, job.id)
    assert [t.to_state for t in transitions] == ["pending", "queued"]


def test_two_claims_have_one_winner(workspace: Workspace) -> None:
    job = tokenizer_job(workspace, start=True)
    gate, won = threading.Barrier(6), []

    def claim() -> None:
        gate.wait()
        with writing(workspace.engine) as connection:
            won.append(store.change_state(connection, job.id, ["queued"], "starting", "supervisor"))

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(won) == [False] * 5 + [True]


def test_stop_is_at_once_without_a_process_and_a_wish_with_one(workspace: Workspace) -> None:
    waiting, running = tokenizer_job(workspace, start=True), tokenizer_job(workspace, start=True)
    put(workspace, running, "starting", "running")
    assert service.stop(workspace, waiting.id).state == "stopped"
    assert service.stop(workspace, running.id).state == "stopping"
    assert service.stop(workspace, running.id).state == "stopping"
    with pytest.raises(Problem, match="nothing to stop"):
        service.stop(workspace, waiting.id)


def test_only_a_running_training_is_paused(workspace: Workspace) -> None:
    words = tokenizer_job(workspace, start=True)
    with pytest.raises(Problem, match="stop it instead"):
        service.pause(workspace, words.id)
    values = {"dataset": "texts.jsonl", "tokenizer": f"job:{words.id}", "max_steps": 2}
    training = service.create(workspace, "pretrain", values, start=True)
    with pytest.raises(Problem, match="is queued: only a running training"):
        service.pause(workspace, training.id)
    put(workspace, training, "starting", "running")
    assert service.pause(workspace, training.id).state == "pausing"
    put(workspace, service.get(workspace, training.id), "paused")
    assert service.pause(workspace, training.id).state == "paused"
    assert service.start(workspace, training.id).state == "queued"


@pytest.mark.parametrize("state", ACTIVE)
def test_a_job_with_a_process_is_not_deleted(workspace: Workspace, state: str) -> None:
    job = tokenizer_job(workspace, start=True)
    paths = {"starting": (), "running": ("running",), "pausing": ("running", "pausing"), "stopping": ("stopping",)}
    put(workspace, job, "starting", *paths[state])
    with pytest.raises(Problem, match="stop it first"):
        service.delete(workspace, job.id)
    assert workspace.job_folder(job.id).is_dir()


def test_delete_goes_to_the_trash_and_comes_back_whole(workspace: Workspace) -> None:
    job = tokenizer_job(workspace)
    (workspace.job_folder(job.id) / "note.txt").write_text("kept")
    service.delete(workspace, job.id)
    assert service.list_jobs(workspace) == []
    assert not workspace.job_folder(job.id).exists()
    with pytest.raises(Problem, match="in the trash"):
        service.start(workspace, job.id)
    service.restore(workspace, job.id)
    assert (workspace.job_folder(job.id) / "note.txt").read_text() == "kept"
    assert service.get(workspace, job.id).state == "pending"


def test_a_job_that_others_wait_for_is_not_deleted(workspace: Workspace) -> None:
    first = tokenizer_job(workspace)
    values = {"dataset": "texts.jsonl", "tokenizer": f"job:{first.id}", "max_steps": 2}
    second = service.create(workspace, "pretrain", values, start=True)
    assert [j.id for j in service.needs(workspace, second.id)] == [first.id]
    with pytest.raises(Problem, match="uses its output"):
        service.delete(workspace, first.id)


def test_a_job_whose_dependency_failed_is_not_started(workspace: Workspace) -> None:
    first = tokenizer_job(workspace, start=True)
    values = {"dataset": "texts.jsonl", "tokenizer": f"job:{first.id}", "max_steps": 2}
    second = service.create(workspace, "pretrain", values)
    put(workspace, first, "starting", "failed")
    with pytest.raises(Problem, match="start that one first"):
        service.start(workspace, second.id)
    with pytest.raises(service.Rejected, match="is failed and has no output"):
        service.create(workspace, "pretrain", values)


def test_ids_may_be_abbreviated_when_only_one_fits(workspace: Workspace) -> None:
    job = tokenizer_job(workspace)
    assert service.get(workspace, job.id[-4:]).id == job.id
    with pytest.raises(Problem, match="There is no job"):
        service.get(workspace, "zz")


def test_search_takes_wildcards_literally(workspace: Workspace) -> None:
    tokenizer_job(workspace, name="100% sure")
    tokenizer_job(workspace, name="1000 rows")
    assert [j.name for j in service.list_jobs(workspace, search="100%")] == ["100% sure"]


def test_every_state_can_be_left_towards_an_end() -> None:
    assert all(
        set(NEXT[s]) & {"queued", "starting", "running", "completed", "stopped"} for s in NEXT if s != "completed"
    )
    assert all("queued" in NEXT[s] for s in STARTABLE)


def test_an_impossible_transition_is_a_programming_error(workspace: Workspace) -> None:
    job = tokenizer_job(workspace)
    with reading(workspace.engine) as connection, pytest.raises(ValueError, match="never followed"):
        store.change_state(connection, job.id, ["completed"], "running", "test")


def test_chats_without_a_chat_template_are_named_before_anything_runs(workspace: Workspace) -> None:
    model_folder(workspace.models / "bare")
    rows = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
    (workspace.datasets / "chats.jsonl").write_text(rows * 3)
    spec, findings = examine(workspace, "sft", {"dataset": "chats.jsonl", "model": "bare"})
    assert spec is None
    assert [(f.level, f.fields) for f in findings] == [("error", ("dataset", "chat_template"))]
    assert "has no chat template" in str(findings[0].text)
    (workspace.models / "bare" / "chat_template.jinja").write_text("{{ messages }}")
    assert examine(workspace, "sft", {"dataset": "chats.jsonl", "model": "bare"})[0] is not None


def test_lengths_beyond_the_models_context_are_said(workspace: Workspace) -> None:
    model_folder(workspace.models / "short", context=16)
    (workspace.datasets / "sums.jsonl").write_text('{"prompt": "1+1=", "completion": "2"}\n' * 3)
    spec, findings = examine(workspace, "sft", {"dataset": "sums.jsonl", "model": "short"})
    assert spec is not None
    (found,) = [f for f in findings if f.fields == ("max_length",)]
    assert "more than the model's context of 16" in str(found.text)


def test_a_model_from_scratch_that_memory_can_not_hold_is_said(workspace: Workspace) -> None:
    model_folder(workspace.models / "words")
    asked = {"dataset": "texts.jsonl", "tokenizer": "words", "hidden_size": 64, "heads": 4, "kv_heads": 4}
    spec, findings = examine(workspace, "pretrain", asked)
    assert spec is not None
    assert not [f for f in findings if "hidden_size" in f.fields]
    _, findings = examine(workspace, "pretrain", {**asked, "hidden_size": 65536, "layers": 200})
    assert ["this machine has" in str(f.text) for f in findings if f.fields == ("hidden_size", "layers")] == [True]
