"""The queue's page: an empty one, one with a line, and a press that moves, refused or undone."""

from __future__ import annotations

from platform_core.queue import ordering
from platform_core.workspace.service import Workspace
from tests.unit.app.runs import add_job

from .test_monitor import Open, said


def test_an_empty_queue_shows_the_ways_on(opened: Open, workspace: Workspace) -> None:
    assert "Nothing runs and nobody waits" in said(opened("queue"))


def test_who_waits_is_counted_and_what_was_changed_can_be_undone(opened: Open, workspace: Workspace) -> None:
    first, second = add_job(workspace, "queued", name="first"), add_job(workspace, "queued", name="second")
    at = opened("queue")
    assert "2 wait" in said(at)
    before = ordering.move(workspace, second.id, "top")
    assert [e.id for e in ordering.view(workspace).line.waiting] == [second.id, first.id]
    at.session_state["queue.undo"] = (2e9, "moved", before)
    at.run()
    at.button(key="queue.undo.do").click().run()
    assert [e.id for e in ordering.view(workspace).line.waiting] == [first.id, second.id]
