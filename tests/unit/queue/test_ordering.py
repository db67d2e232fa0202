"""Change the order of the queue, and take it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli import main
from app.commands.queue import moment
from platform_core.clock import now
from platform_core.database.engine import reading, writing
from platform_core.errors import Problem
from platform_core.ids import new_id
from platform_core.jobs import store
from platform_core.queue import ordering
from platform_core.workspace.service import Workspace, open_workspace


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "home"))
    return open_workspace(tmp_path / "home")


def add(place: Workspace, name: str, owner: str = "ada", priority: int = 0, state: str = "queued") -> str:
    job_id, at = new_id(), now()
    row = {
        "id": job_id, "name": name, "kind": "tokenizer", "engine": "hf", "spec": {}, "spec_hash": "", "state": state,
        "since": at, "owner": owner, "priority": priority, "cpu_slots": 1, "attempt": 0, "created_at": at,
        "queued_at": at,
    }  # fmt: skip
    with writing(place.engine) as connection:
        store.insert_job(connection, row, (), owner)
    return job_id


def order(place: Workspace) -> str:
    return "".join(e.name for e in ordering.view(place).line.waiting)


def test_moves_are_what_a_person_saw_and_each_can_be_undone(place: Workspace) -> None:
    ids = {name: add(place, name) for name in "abcde"}
    for where, other, expected in (
        ("top", "", "dabce"), ("up", "", "abdce"), ("down", "", "abced"), ("bottom", "", "abced"),
        ("before", "b", "adbce"), ("after", "e", "abced"), ("fair", "", "abcde"),
    ):  # fmt: skip
        before = ordering.move(place, ids["d"], where, ids.get(other, ""))  # type: ignore[arg-type]
        assert order(place) == expected, where
        ordering.put_back(place, before)
        assert order(place) == "abcde", where


def test_several_moves_one_after_the_other_keep_the_order_that_was_seen(place: Workspace) -> None:
    ids = {name: add(place, name) for name in "abcde"}
    ordering.move(place, ids["e"], "top")
    ordering.move(place, ids["c"], "up")
    assert order(place) == "eacbd"
    ordering.move(place, ids["d"], "before", ids["a"])
    assert order(place) == "edacb"
    ordering.move(place, ids["e"], "down")
    assert order(place) == "deacb"
    add(place, "z", owner="zoe")
    assert order(place)[:4] == "deac"


def test_past_the_border_of_a_class_a_job_joins_it(place: Workspace) -> None:
    urgent, normal = add(place, "u", priority=2), add(place, "n")
    before = ordering.move(place, normal, "up")
    assert order(place) == "nu"
    with reading(place.engine) as connection:
        moved = store.get_job(connection, normal)
    assert moved is not None
    assert moved.priority == 2
    ordering.put_back(place, before)
    assert order(place) == "un"
    ordering.move(place, urgent, "after", normal)
    assert order(place) == "nu"


def test_class_and_time_are_changed_and_taken_back(place: Workspace) -> None:
    a, b = add(place, "a"), add(place, "b")
    before = ordering.set_priority(place, [b], "high")
    assert order(place) == "ba"
    ordering.put_back(place, before)
    assert order(place) == "ab"
    before = ordering.postpone(place, a, now() + 60)
    assert [s.job.name for s in ordering.view(place).plan.starts] == ["b"]
    wait = ordering.why(place, a)
    assert wait is not None
    assert "start later" in str(wait.reason)
    ordering.put_back(place, before)
    assert len(ordering.view(place).plan.starts) == 2


def test_only_what_waits_has_a_place(place: Workspace) -> None:
    running, there = add(place, "r", state="running"), add(place, "a")
    with pytest.raises(Problem, match="“r” is running"):
        ordering.move(place, running, "top")
    with pytest.raises(Problem, match="“r” is running"):
        ordering.set_priority(place, [running], "high")
    with pytest.raises(Problem, match="does not wait"):
        ordering.move(place, there, "before", running)
    with pytest.raises(Problem, match="no priority"):
        ordering.set_priority(place, [there], "highest")
    with pytest.raises(Problem, match="There is no job"):
        ordering.postpone(place, "nope", None)


def test_the_command_line_lists_moves_and_explains(place: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = add(place, "a"), add(place, "b", owner="bob")
    assert main(["queue", "move", b, "--top"]) == 0
    assert main(["queue", "priority", a, "low"]) == 0
    assert main(["queue", "postpone", a, "+1h"]) == 0
    capsys.readouterr()
    assert main(["queue", "list"]) == 0
    said = capsys.readouterr().out
    assert "1*" in said
    assert "Was told to start later" in said
    assert main(["queue", "why", a]) == 0
    assert "in 59 min" in capsys.readouterr().out or "in about 1 h" in said
    assert main(["queue", "move", a]) == 2
    assert main(["queue", "list", "--json"]) == 0


def test_times_as_people_write_them() -> None:
    assert moment("now") is None
    assert moment("+30m") == pytest.approx(now() + 1800, abs=5)
    assert moment("2h") == pytest.approx(now() + 7200, abs=5)
    assert 0 < (moment("18:30") or 0) - now() <= 86_400
    assert moment("2030-01-01T00:00:00+00:00") == 1893456000.0
    with pytest.raises(Problem, match="is no time"):
        moment("soon")
