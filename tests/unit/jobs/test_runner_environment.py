"""What a runner gets of our environment, and what a reader of the job's folder sees of it."""

from __future__ import annotations

from pathlib import Path

from platform_core.root import ROOT
from runners.launchers.environment import redacted, runner_environment

GIVEN = {
    "PATH": "/bin",
    "PYTHONPATH": "/mine",
    "TOKENIZERS_PARALLELISM": "false",
    "KEYBOARD": "us",
    "HF_HOME": "/models",
    "HTTPS_PROXY": "http://ada:pw@proxy:80",
}
SECRETS = (
    "PLATFORM_SECRET_KEY", "HF_TOKEN", "OPENAI_API_KEY", "DB_PASSWORD", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "SECRET",
    "WANDB_API_KEY", "RAY_AUTH_TOKEN", "GITHUB_TOKENS", "PLATFORM_DATABASE_URL", "MY_CREDENTIALS", "SSH_AUTH_SOCK",
)  # fmt: skip


def test_secrets_stay_behind_and_the_rest_comes_along(tmp_path: Path) -> None:
    found = runner_environment(tmp_path, 3, GIVEN | dict.fromkeys(SECRETS, "canary"))
    assert "canary" not in found.values()
    assert found["OMP_NUM_THREADS"] == found["MKL_NUM_THREADS"] == "3"
    assert found["PYTHONPATH"] == f"{ROOT}:/mine"
    assert found["HF_HOME"] == "/models"
    assert {k: found[k] for k in ("PATH", "TOKENIZERS_PARALLELISM", "KEYBOARD")} == {
        k: GIVEN[k] for k in ("PATH", "TOKENIZERS_PARALLELISM", "KEYBOARD")
    }
    assert runner_environment(tmp_path, 1, {})["HF_HOME"] == str(tmp_path / "cache" / "huggingface")


def test_a_login_inside_an_address_is_masked_for_readers(tmp_path: Path) -> None:
    found = redacted(runner_environment(tmp_path, 1, GIVEN) | {"LATE_TOKEN": "canary"})
    assert found["HTTPS_PROXY"] == "http://***@proxy:80"
    assert found["LATE_TOKEN"] == "***"
