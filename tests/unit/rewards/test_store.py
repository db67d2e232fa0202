"""Saved rewards: whole or absent, by strict names, with their code and test cases; the trash gives back."""

from __future__ import annotations

from pathlib import Path

import pytest

from platform_core.errors import Problem
from platform_core.rewards import service
from platform_core.rewards.cases import Case, check_cases, read_cases, run_cases, write_cases
from platform_core.rewards.presets import PRESETS
from platform_core.rewards.scorer import open_scorer
from platform_core.rewards.spec import Reward
from platform_core.rewards.store import keep, load

REWARD = Reward.model_validate({"functions": [{"kind": "exact_match"}]})
CASES = [Case("right", "42", 1.0, "42"), Case("wrong", "41", 0.0, "42", "What?", {"a": 1})]


def test_it_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    service.save(tmp_path, "mine", REWARD, "def score(*a): return 1\n", CASES)
    found = service.get(tmp_path, "mine")
    assert (found.reward, found.code, list(found.cases)) == (REWARD, "def score(*a): return 1\n", CASES)
    infos = {info.name: info for info in service.list_rewards(tmp_path)}
    assert set(infos) == {*PRESETS, "mine"}
    assert (infos["mine"].cases, infos["mine"].built_in, infos["exact_match"].built_in) == (2, False, True)


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "ü", "x" * 200, "con.", "-x"])
def test_a_name_stays_one_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem, match="can't be a name"):
        service.save(tmp_path, name, REWARD)
    assert not (tmp_path / "rewards").exists() or not list((tmp_path / "rewards").iterdir())


def test_built_in_and_taken_names(tmp_path: Path) -> None:
    service.save(tmp_path, "mine", REWARD)
    with pytest.raises(Problem, match="built-in"):
        service.save(tmp_path, "exact_match", REWARD)
    with pytest.raises(Problem, match="exists already"):
        service.save(tmp_path, "mine", REWARD)
    with pytest.raises(Problem, match="stays"):
        service.delete(tmp_path, "exact_match")
    with pytest.raises(Problem, match="copy it instead"):
        service.rename(tmp_path, "exact_match", "other")
    with pytest.raises(Problem, match="no reward “other”"):
        service.get(tmp_path, "other")


def test_what_is_replaced_or_deleted_can_come_back(tmp_path: Path) -> None:
    service.save(tmp_path, "mine", REWARD, None, CASES)
    other = Reward.model_validate({"functions": [{"kind": "length"}]})
    service.save(tmp_path, "mine", other, replace=True)
    assert [entry.name for entry in service.deleted(tmp_path)] == ["mine"]
    gone = service.delete(tmp_path, "mine")
    assert len(service.deleted(tmp_path)) == 2
    before = next(e for e in service.deleted(tmp_path) if e.id != gone.id)
    assert list(service.restore(tmp_path, before.id).cases) == CASES
    with pytest.raises(Problem, match="exists again"):
        service.restore(tmp_path, gone.id)
    with pytest.raises(Problem, match="not in the trash"):
        service.restore(tmp_path, "../../etc")


def test_rename_and_copy(tmp_path: Path) -> None:
    service.save(tmp_path, "mine", REWARD, None, CASES)
    service.copy(tmp_path, "mine", "second")
    service.rename(tmp_path, "mine", "first")
    assert [i.name for i in service.list_rewards(tmp_path) if not i.built_in] == ["first", "second"]
    with pytest.raises(Problem, match="exists already"):
        service.rename(tmp_path, "first", "second")
    service.copy(tmp_path, "math_verify", "third")
    assert service.get(tmp_path, "third").reward == PRESETS["math_verify"].reward()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("reward.yaml", b"functions: [", "Line 1"),
        ("reward.yaml", b"\xff\xfe", "UTF-8"),
        ("cases.jsonl", b"{}\n", "Line 1 of the test cases"),
        ("cases.jsonl", b'{"completion": "x", "expect": 1, "other": 2}', "Line 1 of the test cases"),
        ("cases.jsonl", b'{"expect": 1, "row": ' + b"[" * 100_000, "Line 1 of the test cases"),
        ("code.py", b"\xff", "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_listed(
    tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    service.save(tmp_path, "mine", REWARD, "x = 1", CASES)
    service.save(tmp_path, "other", REWARD)
    (tmp_path / "rewards" / "mine" / file).write_bytes(content)
    with pytest.raises(Problem, match=said):
        service.get(tmp_path, "mine")
    infos = {info.name: info for info in service.list_rewards(tmp_path)}
    assert infos["mine"].unreadable is not None
    assert infos["other"].unreadable is None


def test_a_linked_reward_is_none(tmp_path: Path) -> None:
    service.save(tmp_path / "elsewhere", "mine", REWARD)
    (tmp_path / "rewards").mkdir()
    (tmp_path / "rewards" / "linked").symlink_to(tmp_path / "elsewhere" / "rewards" / "mine")
    assert all(info.built_in for info in service.list_rewards(tmp_path))
    with pytest.raises(Problem, match="no reward"):
        service.get(tmp_path, "linked")


def test_a_job_goes_on_with_the_reward_that_it_began_with(tmp_path: Path) -> None:
    saved = service.save(tmp_path, "mine", REWARD, None, CASES)
    assert saved.folder is not None
    kept = keep(saved.folder, tmp_path / "job" / "reward" / "mine")
    service.save(tmp_path, "mine", Reward.model_validate({"functions": [{"kind": "length"}]}), replace=True)
    assert load(keep(saved.folder, kept)).reward == REWARD


def test_cases_are_json_lines_both_ways_and_name_what_fails() -> None:
    assert read_cases(write_cases(CASES).splitlines()) == CASES
    bad = [*CASES, Case("hopeful", "41", 1.0, "42"), Case("empty", "41", 0.0)]
    with open_scorer(REWARD) as scorer:
        assert [r.passed for r in run_cases(scorer, bad)] == [True, True, False, False]
        check_cases("mine", scorer, CASES)
        with pytest.raises(Problem, match=r"“mine” fails 2 of its 4 test cases: .*“hopeful” gets 0, and should get 1"):
            check_cases("mine", scorer, bad)
