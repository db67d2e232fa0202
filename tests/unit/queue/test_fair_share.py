"""Whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass

from platform_core.queue.fair_share import Usage, Whole, fair_order

WHOLE = Whole(cores=8, memory=64, gpus=4)


@dataclass(frozen=True)
class Ask:
    id: str
    owner: str = "ada"
    priority: int = 0
    position: float | None = None
    queued_at: float = 0.0
    cpu_slots: int = 1
    memory_bytes: int = 1
    gpus: int = 0


def order(*jobs: Ask, running: tuple[Ask, ...] = (), used: dict[str, float] | None = None) -> str:
    return "".join(job.id for job in fair_order(jobs, running, Usage(WHOLE, 0.0, used or {})))


def test_owners_take_turns_however_many_jobs_one_has() -> None:
    flood = [Ask(c, "ada", queued_at=i) for i, c in enumerate("abcd")]
    assert order(*flood, Ask("X", "bob", queued_at=9), Ask("Y", "bob", queued_at=10)) == "aXbYcd"


def test_who_used_less_of_late_goes_next() -> None:
    jobs = Ask("a", "ada", queued_at=1), Ask("b", "bob", queued_at=2)
    assert order(*jobs) == "ab"
    assert order(*jobs, used={"ada": 10_000.0}) == "ba"


def test_who_holds_less_now_goes_next_and_a_gpu_is_more_than_a_core() -> None:
    jobs = Ask("a", "ada", queued_at=1), Ask("b", "bob", queued_at=2)
    assert order(*jobs, running=(Ask("r", "ada"),)) == "ba"
    assert order(*jobs, running=(Ask("r", "ada", cpu_slots=1), Ask("s", "bob", gpus=1))) == "ab"


def test_a_big_job_costs_its_owner_more_turns() -> None:
    jobs = [
        Ask("A", "ada", cpu_slots=8),
        *(Ask(c, "bob", queued_at=i + 1) for i, c in enumerate("xyz")),
        Ask("B", "ada"),
    ]
    assert order(*jobs) == "AxyzB"


def test_classes_come_first_then_places_by_hand_then_fair_order() -> None:
    jobs = (
        Ask("a", queued_at=1), Ask("b", queued_at=2), Ask("c", queued_at=3, position=2.0), Ask("d", position=1.0),
        Ask("u", priority=2, queued_at=9), Ask("i", priority=-2),
    )  # fmt: skip
    assert order(*jobs) == "udcabi"


def test_a_share_is_the_largest_of_its_parts_and_at_most_the_whole() -> None:
    assert WHOLE.share(2, 0, 0) == 0.25
    assert WHOLE.share(1, 64, 0) == 1.0
    assert WHOLE.share(1, 0, 2) == 0.5
    assert WHOLE.share(100, 0, 0) == 1.0
    assert Whole(cores=2).share(1, 10**12, 8) == 0.5
