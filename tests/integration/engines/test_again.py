"""A job that runs again exactly gives the same; what is no longer as it was is said before it starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from platform_core.database.engine import writing
from platform_core.errors import Problem
from platform_core.files import read_json
from platform_core.jobs import service, store, verify
from platform_core.jobs.again import again, differences
from platform_core.jobs.export import export
from platform_core.jobs.store import Job as Row
from platform_core.metrics.reader import Reader
from platform_core.models.service import check_model, checkpoints
from platform_core.workspace.service import Workspace, open_workspace
from runners.programs.compare import compare
from tests.integration.engines.jobs import TRAINING, Job, run_first

SFT = {**TRAINING, "max_steps": 6, "batch_size": 8, "max_length": 32, "model": "taught", "dataset": "sft.jsonl"}


@pytest.fixture
def place(tmp_path: Path, files: dict[str, Path], taught: Path) -> Workspace:
    workspace = open_workspace(tmp_path / "home")
    shutil.copyfile(files["sft"], workspace.datasets / "sft.jsonl")
    shutil.copytree(taught, workspace.models / "taught")
    return workspace


def ran(place: Workspace, row: Row) -> Job:
    """Run a job's first attempt, as the supervisor would, and say so in its row."""
    with writing(place.engine) as connection:
        store.update_job(connection, row.id, attempt=1)
    return run_first(place, row)


def test_the_same_again_is_the_same_to_the_bit(place: Workspace) -> None:
    row = service.create(place, "sft", SFT, name="first")
    first = ran(place, row)
    new, changed = again(place, row.id)
    assert changed == []
    assert (new.state, new.spec_hash, new.spec, new.name) == ("queued", row.spec_hash, row.spec, "first (again)")
    second = ran(place, new)
    assert second.weights == first.weights
    found = compare(first.folder, second.folder, 6)
    assert (found.difference, found.points > 30) == ("", True)
    with Reader(second.folder / "metrics.sqlite") as run:
        assert len(run.points("loss")[0]) == 6


def test_a_changed_input_is_named_and_refused_unless_wanted(place: Workspace) -> None:
    row = service.create(place, "sft", SFT, name="first")
    with pytest.raises(Problem, match="recorded nothing"):
        again(place, row.id)
    ran(place, row)
    assert differences(place, row.id).inputs == []
    with (place.datasets / "sft.jsonl").open("a") as file:
        file.write('{"prompt": "1+1=", "completion": "2"}\n')
    config = place.models / "taught" / "generation_config.json"
    config.write_text(config.read_text() + " ")
    found = [str(sentence) for sentence in differences(place, row.id).inputs]
    assert found == ["taught/generation_config.json has changed since.", "sft.jsonl has changed since."]
    before = len(service.list_jobs(place))
    with pytest.raises(Problem, match=r"generation_config\.json has changed"):
        again(place, row.id)
    assert len(service.list_jobs(place)) == before
    with pytest.raises(Problem, match="exported as it was trained"):
        export(place, row.id)
    assert not list((place.home / "exports").iterdir())
    new, changed = again(place, row.id, anyway=True)
    assert new.state == "queued"
    assert len(changed) == 2


def test_other_libraries_are_told(place: Workspace) -> None:
    row = service.create(place, "sft", SFT, name="first")
    folder = ran(place, row).folder
    path = folder / "attempts" / "1" / "provenance.json"
    recorded = read_json(path) or {}
    libraries = recorded["libraries"]
    assert isinstance(libraries, dict)
    path.write_text(json.dumps(recorded | {"libraries": {**libraries, "trl": "0.1"}, "machine": {"cpu": "Z80"}}))
    said = [str(sentence) for sentence in again(place, row.id)[1]]
    assert said[0].startswith("trl was 0.1 and is ")
    assert said[1].startswith("The processor was Z80")


def test_only_a_training_that_has_run_is_proved(place: Workspace) -> None:
    row = service.create(place, "sft", SFT, name="first")
    with pytest.raises(Problem, match="has not run yet"):
        verify.create(place, row.id)
    with writing(place.engine) as connection:
        store.update_job(connection, row.id, attempt=1)
    with pytest.raises(Problem, match="at most those of the training"):
        verify.create(place, row.id, 7)
    proof = verify.create(place, row.id)
    assert (proof.state, proof.spec["job"], proof.spec["steps"]) == ("queued", row.id, 6)
    assert proof.cpu_slots == row.cpu_slots
    latest = verify.latest(place, row)
    assert latest is not None
    assert latest.id == proof.id
    assert verify.verdict(proof) is None
    with pytest.raises(Problem, match="does not train"):
        verify.create(place, proof.id)


def test_a_checkpoint_is_a_start_without_waiting_for_its_job(place: Workspace) -> None:
    row = service.create(place, "sft", SFT | {"save_every": 2, "keep_checkpoints": 9}, name="first")
    ran(place, row)
    with writing(place.engine) as connection:
        store.change_state(connection, row.id, ["pending"], "queued", "test")
        store.change_state(connection, row.id, ["queued"], "stopped", "test")
    assert [step for _, _, step in checkpoints(place)] == [4, 2]
    start = f"job:{row.id}@4"
    onward = service.create(place, "sft", SFT | {"model": start, "max_steps": 1}, name="onward")
    assert service.needs(place, onward.id) == []
    further = ran(place, onward)
    with Reader(further.folder / "metrics.sqlite") as run, Reader(place.job_folder(row.id) / "metrics.sqlite") as old:
        assert run.points("loss")[1][0] < old.points("loss")[1][0]
    with pytest.raises(Problem, match="no checkpoint of step 3; there are 2, 4"):
        check_model(place, f"job:{row.id}@3")
