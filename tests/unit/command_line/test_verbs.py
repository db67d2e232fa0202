"""The verbs of `lathe` that need no other process, on a real workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import VERBS
from platform_core.database.engine import writing
from platform_core.jobs import service, store
from platform_core.workspace.service import Workspace, open_workspace

from .conftest import Lathe


def made(lathe: Lathe, *more: str) -> dict[str, Any]:
    code, out, err = lathe("train", "tokenizer", "--dataset", "texts.jsonl", "--create-only", "--json", *more)
    assert code == 0, err
    job: dict[str, Any] = json.loads(out)
    return job


def workspace() -> Workspace:
    return open_workspace()


def put(job_id: str, *path: store.State) -> None:
    """Walk a job from `pending` through states, as a supervisor would."""
    with writing(workspace().engine) as connection:
        before: store.State = "pending"
        for state in path:
            assert store.change_state(connection, job_id, [before], state, "test")
            before = state


def test_help_names_every_verb(lathe: Lathe) -> None:
    code, out, _ = lathe("--help")
    assert code == 0
    for verb in VERBS:
        assert f"  {verb} " in out
    assert "Exit codes: 0 done" in out


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_the_help_that_the_list_promises(lathe: Lathe, verb: str) -> None:
    code, out, _ = lathe(verb, "--help")
    assert code == 0
    assert out.startswith(f"Usage: lathe {verb}")


def test_version_is_that_of_the_project(lathe: Lathe) -> None:
    assert lathe("--version")[1].startswith("lathe 0.")


@pytest.mark.parametrize(
    "words", [["nonsense"], ["jobs", "show"], ["jobs", "list", "--state", "happy"], ["train", "x"]]
)
def test_wrong_usage_is_exit_code_2(lathe: Lathe, words: list[str]) -> None:
    code, out, err = lathe(*words)
    assert code == 2
    assert not out
    assert "Error:" in err


def test_the_list_of_jobs_is_an_array_of_objects_with_the_promised_keys(lathe: Lathe) -> None:
    assert json.loads(lathe("jobs", "list", "--json")[1]) == []
    job = made(lathe, "--name", "words")
    (found,) = json.loads(lathe("jobs", "list", "--json")[1])
    assert found == job
    assert {"id", "name", "kind", "state", "step", "total_steps", "created_at"} <= set(found)
    assert (found["name"], found["kind"], found["state"], found["step"]) == ("words", "tokenizer", "pending", None)


def test_the_list_is_filtered(lathe: Lathe) -> None:
    first, second = made(lathe, "--name", "alpha"), made(lathe, "--name", "beta")
    put(second["id"], "queued")

    def names(*words: str) -> list[str]:
        return [j["name"] for j in json.loads(lathe("jobs", "list", "--json", *words)[1])]

    assert names() == ["beta", "alpha"]
    assert names("--state", "queued") == ["beta"]
    assert names("--search", "alp") == ["alpha"]
    assert names("--kind", "sft") == []
    assert names("--limit", "1") == ["beta"]
    assert names("--trash") == []
    lathe("jobs", "delete", first["id"])
    assert names("--trash") == ["alpha"]


def test_an_empty_list_says_what_can_be_done(lathe: Lathe) -> None:
    assert "lathe demo" in lathe("jobs", "list")[1]
    made(lathe)
    assert lathe("jobs", "list", "--search", "nothing")[1] == "No job fits.\n"


def test_show_tells_settings_and_history(lathe: Lathe) -> None:
    job = made(lathe, "--name", "words", "--vocab-size", "300")
    code, out, _ = lathe("jobs", "show", job["id"][-4:])
    assert code == 0
    assert "vocab_size: 300" in out
    assert "pending" in out
    shown = json.loads(lathe("jobs", "show", job["id"], "--json")[1])
    assert shown["spec"]["vocab_size"] == 300
    assert [t["to_state"] for t in shown["history"]] == ["pending"]


def test_an_unknown_job_is_one_sentence_and_exit_code_1(lathe: Lathe) -> None:
    for verb in ("show", "start", "stop", "delete", "restore", "logs", "clone"):
        code, _, err = lathe("jobs", verb, "0123456789ab")
        assert code == 1, verb
        assert "There is no job 0123456789ab" in err
        assert err.count("\n") == 1


def test_stop_delete_restore_and_what_is_refused(lathe: Lathe) -> None:
    job = made(lathe, "--name", "words")
    assert lathe("jobs", "stop", job["id"])[0] == 0
    code, _, err = lathe("jobs", "stop", job["id"])
    assert (code, err) == (1, "“words” is stopped: there is nothing to stop.\n")
    assert "Undo: lathe jobs restore" in lathe("jobs", "delete", job["id"])[1]
    assert lathe("jobs", "stop", job["id"])[0] == 1
    (back,) = json.loads(lathe("jobs", "restore", job["id"], "--json")[1])
    assert back["state"] == "stopped"


def test_what_is_refused_does_not_keep_the_others_from_being_done(lathe: Lathe) -> None:
    job = made(lathe)
    code, out, err = lathe("jobs", "stop", "0123456789ab", job["id"], "--json")
    assert code == 1
    assert [j["state"] for j in json.loads(out)] == ["stopped"]
    assert "There is no job" in err


def test_clone_changes_what_is_set(lathe: Lathe) -> None:
    job = made(lathe, "--vocab-size", "300", "--max-rows", "5")
    words = ("--set", "vocab-size=400", "--set", "max_rows=none", "--json")
    copy = json.loads(lathe("jobs", "clone", job["id"], *words)[1])
    spec = service.get(workspace(), copy["id"]).spec
    assert (spec["vocab_size"], spec["max_rows"]) == (400, None)
    assert lathe("jobs", "clone", job["id"], "--set", "vocab_size")[0] == 2
    code, _, err = lathe("jobs", "clone", job["id"], "--set", "vocab_size=many")
    assert (code, err) == (1, "--vocab-size: Vocabulary must be a whole number; “many” is none.\n")


def test_logs_prints_the_end_and_makes_it_harmless(lathe: Lathe, home: Path) -> None:
    job = made(lathe)
    put(job["id"], "queued", "starting", "running", "completed")
    with writing(workspace().engine) as connection:
        store.update_job(connection, job["id"], attempt=1)
    log = home / "jobs" / job["id"] / "attempts" / "1" / "log.txt"
    log.parent.mkdir(parents=True)
    lines = [b"line %d" % i for i in range(10_000)]
    log.write_bytes(b"\n".join([*lines, b"10%\r50%\r100%", b"\x1b[31mred \xff\xe2\x80\xae end"]))
    out = lathe("jobs", "logs", job["id"], "-n", "3")[1].splitlines()
    assert out == ["line 9999", "100%", "red �\\u202e end"]
    assert lathe("jobs", "logs", job["id"], "-n", "0")[1] == ""
    assert lathe("jobs", "logs", job["id"], "-f", "-n", "1")[0] == 0
    (text,) = lathe("jobs", "logs", job["id"], "-n", "1", "--json")[1].splitlines()
    assert json.loads(text) == out[2]


def test_a_line_of_a_hundred_megabytes_is_cut(lathe: Lathe, home: Path) -> None:
    job = made(lathe)
    put(job["id"], "queued", "starting", "running", "completed")
    with writing(workspace().engine) as connection:
        store.update_job(connection, job["id"], attempt=1)
    log = home / "jobs" / job["id"] / "attempts" / "1" / "log.txt"
    log.parent.mkdir(parents=True)
    with log.open("wb") as file:
        file.write(b"begin\n")
        file.truncate(100 * 2**20)
        file.seek(0, 2)
        file.write(b"x" * 5000 + b"\nend\n")
    out = lathe("jobs", "logs", job["id"], "-n", "2")[1].splitlines()
    assert len(out) == 2
    assert len(out[0]) < 20_000
    assert out[0].endswith("…")
    assert out[1] == "end"


def test_names_cannot_steer_the_terminal(lathe: Lathe) -> None:
    made(lathe, "--name", "a\x1b[2J\nb\u202ec 中文")
    out = lathe("jobs", "list")[1]
    assert "\x1b" not in out
    assert "a\\x1b[2J\\nb\\u202ec 中文" in out
    assert len(out.splitlines()) == 2
    assert lathe("jobs", "list", "--json")[1].isascii()


def test_datasets_are_added_shown_checked_deleted_and_restored(lathe: Lathe, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "a\\u001b[2J", "response": "b"}\n{"prompt": "c"}\n')
    added = json.loads(lathe("data", "add", str(file), "--json")[1])
    assert (added["name"], added["rows"], added["good_rows"]) == ("pairs.jsonl", 2, 1)
    code, _, err = lathe("data", "add", str(file))
    assert code == 1
    assert "exists already" in err
    assert {d["name"] for d in json.loads(lathe("data", "list", "--json")[1])} == {"pairs.jsonl", "texts.jsonl"}
    out = lathe("data", "show", "pairs.jsonl", "-n", "1")[1]
    assert "prompt: a\\x1b[2J" in out
    code, out, _ = lathe("data", "check", "pairs.jsonl")
    assert code == 1
    assert "row 2: has no `response`" in out
    code, _, err = lathe("data", "check", "pairs.jsonl", "--for", "pretrain")
    assert code == 1
    assert "pairs.jsonl" in err
    assert lathe("data", "check", "texts.jsonl", "--for", "pretrain")[0] == 0
    entry = json.loads(lathe("data", "delete", "pairs.jsonl", "--json")[1])
    assert lathe("data", "show", "pairs.jsonl")[0] == 1
    assert lathe("data", "restore", entry["id"])[0] == 0
    assert lathe("data", "show", "pairs.jsonl")[0] == 0


def test_models_of_an_empty_workspace(lathe: Lathe) -> None:
    assert json.loads(lathe("models", "list", "--json")[1]) == []
    assert "lathe demo" in lathe("models", "list")[1]
    code, _, err = lathe("models", "show", "nope")
    assert code == 1
    assert "nope" in err


def test_a_model_folder_is_listed_and_shown(lathe: Lathe, home: Path) -> None:
    folder = home / "models" / "words"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    (listed,) = json.loads(lathe("models", "list", "--json")[1])
    assert (listed["ref"], listed["kind"]) == ("words", "tokenizer")
    assert json.loads(lathe("models", "show", "words", "--json")[1]) == listed
    assert "Tokenizer     yes" in lathe("models", "show", "words")[1]


def test_home_chooses_the_workspace(lathe: Lathe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(lathe)
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "elsewhere"))
    assert json.loads(lathe("jobs", "list", "--json")[1]) == []
    assert len(json.loads(lathe("--home", str(tmp_path / "home"), "jobs", "list", "--json")[1])) == 1
    assert json.loads(lathe("jobs", "list", "--json", "--home", str(tmp_path / "other"))[1]) == []


def test_a_workspace_that_cannot_be_made_is_a_sentence(lathe: Lathe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = lathe("jobs", "list", "--home", str(tmp_path / "file" / "home"))
    assert code == 1
    assert "PLATFORM_HOME" in err


def test_an_unexpected_error_leaves_its_traceback_in_the_log(lathe: Lathe, home: Path) -> None:
    job = made(lathe)
    with writing(workspace().engine) as connection:
        store.update_job(connection, job["id"], kind="gone", progress={"step": "not a number"})
    code, out, err = lathe("jobs", "list")
    assert (code, out) == (1, "")
    assert "unexpected error" in err
    assert "Traceback" in (home / "cli.log").read_text()
