"""Which GPUs a job gets on a host with eight of them, and what it says when it gets none."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from platform_core.hosts.devices import Gpu, GpuProcess, Snapshot
from platform_core.queue.placement import GIB, Capacity, Lack, place, room, still_free


@dataclass(frozen=True)
class Ask:
    name: str = "mine"
    gpus: int = 0
    gpu_memory_bytes: int = 20 * GIB
    gpu_indexes: tuple[int, ...] = ()
    cpu_slots: int = 1
    memory_bytes: int = GIB
    id: str = "1"
    devices: tuple[str, ...] = field(default=())


def gpu(index: int, *processes: GpuProcess, total: int = 80, used: float | None = None, busy: float = 0.0) -> Gpu:
    held = sum(p.memory_bytes or 0 for p in processes) if used is None else int(used * GIB)
    return Gpu(f"GPU-{index}", index, "H100", total * GIB, held, busy, processes=processes)


def foreign(held: float, pid: int = 77) -> GpuProcess:
    return GpuProcess(pid, int(held * GIB), "python", "mallory")


def host(**changed: Gpu) -> Snapshot:
    gpus = [changed.get(f"g{i}", gpu(i)) for i in range(8)]
    return Snapshot("h", 0.0, tuple(gpus))


def test_a_job_gets_as_many_gpus_as_it_asks_for() -> None:
    assert place(Ask(gpus=0), None, {}, {}) == ()
    assert place(Ask(gpus=2), host(), {}, {}) == ("GPU-0", "GPU-1")
    assert place(Ask(gpus=8), host(), {}, {}) == tuple(f"GPU-{i}" for i in range(8))


def test_taken_reserved_and_full_gpus_are_passed_over() -> None:
    seen = host(g2=gpu(2, foreign(70)))
    assert place(Ask(gpus=3), seen, {"GPU-0": "other"}, {"GPU-1": "eve"}) == ("GPU-3", "GPU-4", "GPU-5")


def test_gpus_without_other_people_go_first_then_small_ones_then_idle_ones() -> None:
    seen = host(g0=gpu(0, foreign(1)), g1=gpu(1, busy=90.0), g5=gpu(5, total=40))
    assert place(Ask(gpus=1), seen, {}, {}) == ("GPU-5",)
    assert place(Ask(gpus=1, gpu_memory_bytes=60 * GIB), seen, {}, {}) == ("GPU-2",)
    assert place(Ask(gpus=7), seen, {}, {}) == tuple(f"GPU-{i}" for i in range(1, 8))
    assert place(Ask(gpus=8), seen, {}, {}) == tuple(f"GPU-{i}" for i in range(8))


def test_a_foreign_process_is_named_and_nothing_is_kept_for_a_job_that_waits_for_it() -> None:
    seen = host(**{f"g{i}": gpu(i, foreign(70, pid=100 + i)) for i in range(8)})
    lack = place(Ask(gpus=1), seen, {}, {})
    assert isinstance(lack, Lack)
    assert (lack.what, lack.ours) == ("gpus", False)
    assert "python (mallory, pid 100) holds 70.0 GiB" in str(lack.reason)
    assert "and 5 more" in str(lack.reason)


def test_what_our_own_jobs_hold_comes_back() -> None:
    taken = {f"GPU-{i}": "big" for i in range(7)}
    lack = place(Ask(gpus=2), host(), taken, {})
    assert isinstance(lack, Lack)
    assert lack.ours
    assert str(lack.reason).startswith("Waits for GPUs: it needs 2 with 20.0 GiB free each, 1 of 8 are free.")
    assert "GPU 0 is taken by “big”" in str(lack.reason)
    reserved = {f"GPU-{i}": "eve" for i in range(6)}
    lack = place(Ask(gpus=3), host(), {"GPU-6": "big"}, reserved)
    assert isinstance(lack, Lack)
    assert not lack.ours
    assert "GPU 0 is reserved by eve" in str(lack.reason)


def test_more_gpus_than_there_are_and_gpus_that_can_not_be_read() -> None:
    lack = place(Ask(gpus=9), host(), {}, {})
    assert isinstance(lack, Lack)
    assert str(lack.reason) == "It asks for 9 GPUs; this host has 8: clone it with fewer."
    lack = place(Ask(gpus=1), Snapshot("h", 0.0, trouble="Driver/library version mismatch"), {}, {})
    assert isinstance(lack, Lack)
    assert "can't be read now: Driver/library version mismatch." in str(lack.reason)


def test_chosen_gpus_are_given_and_no_others() -> None:
    assert place(Ask(gpus=2, gpu_indexes=(2, 5)), host(), {}, {}) == ("GPU-2", "GPU-5")
    lack = place(Ask(gpus=2, gpu_indexes=(2, 5)), host(), {"GPU-5": "big"}, {})
    assert isinstance(lack, Lack)
    assert lack.ours
    assert str(lack.reason) == ("Waits for GPU 2, 5 with 20.0 GiB free, as it asks for. GPU 5 is taken by “big”.")
    lack = place(Ask(gpus=1, gpu_indexes=(2,)), host(), {}, {"GPU-2": "eve"})
    assert isinstance(lack, Lack)
    assert not lack.ours
    assert "GPU 2 is reserved by eve" in str(lack.reason)
    lack = place(Ask(gpus=1, gpu_indexes=(2,)), host(g2=gpu(2, foreign(70))), {}, {})
    assert isinstance(lack, Lack)
    assert not lack.ours
    assert "GPU 2 has 10.0 GiB free: python (mallory, pid 77) holds 70.0 GiB" in str(lack.reason)
    lack = place(Ask(gpus=2, gpu_indexes=(1, 9)), host(), {}, {})
    assert isinstance(lack, Lack)
    assert str(lack.reason) == "It asks for GPU 9, which this host does not have: clone it with another."


def test_a_job_that_waits_for_a_chosen_gpu_keeps_that_one_only() -> None:
    free = room(Capacity(8, snapshot=host()), [Ask("big", id="b", gpus=1, devices=("GPU-1",))])
    waits = Ask("waits", gpus=2, gpu_indexes=(0, 1))
    lack = free.lack(waits)
    assert isinstance(lack, Lack)
    free.keep(waits, lack)
    assert free.lack(Ask(gpus=1)) == ("GPU-2",)
    assert isinstance(free.lack(Ask(gpus=1, gpu_indexes=(0,))), Lack)


def test_a_need_that_is_not_known_still_wants_some_free_memory() -> None:
    seen = Snapshot("h", 0.0, (gpu(0, used=79.9),))
    assert isinstance(place(Ask(gpus=1, gpu_memory_bytes=0), seen, {}, {}), Lack)


def test_what_was_chosen_is_looked_at_again() -> None:
    assert still_free(("GPU-0",), 20 * GIB, host().gpus) is None
    taken = still_free(("GPU-0",), 20 * GIB, host(g0=gpu(0, foreign(70))).gpus)
    assert "GPU 0 has 10.0 GiB free: python (mallory, pid 77) holds 70.0 GiB" in str(taken)
    assert "does not answer" in str(still_free(("GPU-9",), 0, host().gpus))


def test_memory_is_what_is_really_free_less_what_ours_will_still_take() -> None:
    seen = Snapshot("h", 0.0, memory_total=32 * GIB, memory_available=20 * GIB, jobs={"r": {"rss": 2.0 * GIB}})
    have = Capacity(8, 32 * GIB, seen)
    running = Ask("runs", id="r", memory_bytes=10 * GIB)
    assert room(have, [running]).available == 12 * GIB
    lack = room(have, [running]).lack(Ask(memory_bytes=13 * GIB))
    assert isinstance(lack, Lack)
    assert (lack.what, lack.ours) == ("memory", True)
    assert "12.0 GiB are free beside “runs”" in str(lack.reason)
    assert room(have, [running]).lack(Ask(memory_bytes=12 * GIB)) == ()


def test_memory_that_other_programs_hold_is_said_and_a_job_bigger_than_the_machine_may_try_alone() -> None:
    have = Capacity(8, 32 * GIB, Snapshot("h", 0.0, memory_total=32 * GIB, memory_available=4 * GIB))
    lack = room(have, []).lack(Ask(memory_bytes=5 * GIB))
    assert isinstance(lack, Lack)
    assert not lack.ours
    assert "other programs hold the rest" in str(lack.reason)
    assert room(have, []).lack(Ask(memory_bytes=64 * GIB)) == ()
    assert isinstance(room(have, [Ask("runs")]).lack(Ask(memory_bytes=64 * GIB)), Lack)


@pytest.mark.parametrize("known", [True, False])
def test_memory_counts_only_where_it_is_known(known: bool) -> None:
    have = Capacity(2, 4 * GIB if known else 0)
    found = room(have, [Ask(memory_bytes=3 * GIB)]).lack(Ask(memory_bytes=2 * GIB))
    assert isinstance(found, Lack) == known
