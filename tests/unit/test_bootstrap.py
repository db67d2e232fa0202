"""The set-up program: each thing that stops it is a sentence, a cut install is found, a finished one costs nothing."""

import base64
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bootstrap
import lock
import pip_install
import system_packages

TOOLS = Path(bootstrap.__file__).parent
GIB = 1024**3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with requirement files and an environment whose set-up has ended."""
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-verl.txt", "constraints.txt"):
        (tmp_path / name).write_text("torch==2.13.0\n")
    for name in ("python", "lathe"):
        program = tmp_path / ".venv" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    stamp = {"wanted": bootstrap.wanted(tmp_path), "tests": False, "python": "3.11"}
    bootstrap.write_stamp(tmp_path / ".venv" / "lathe-setup.json", stamp)
    return tmp_path


def package(site: Path, name: str, text: str = "x = 1\n") -> Path:
    """Install a package of one module as pip does; the folder that describes it."""
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text(text)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(
        f"{name}/__init__.py,sha256={digest},{len(text)}\n"
        f"{name}/__pycache__/__init__.cpython-311.pyc,,\n{name}-1.0.dist-info/RECORD,,\n"
    )
    (info / "INSTALLER").write_text("pip\n")
    return info


def test_a_finished_set_up_is_ready(root: Path) -> None:
    assert bootstrap.is_ready(root, tests=False, version=None)
    assert not bootstrap.is_ready(root, tests=True, version=None)
    assert not bootstrap.is_ready(root, tests=False, version="3.12")
    assert not bootstrap.is_ready(root, tests=False, version=None, verl=True)


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-verl.txt", "constraints.txt"]
)
def test_a_changed_pin_asks_for_a_set_up(root: Path, name: str) -> None:
    (root / name).write_text("torch==2.14.0\n")
    assert not bootstrap.is_ready(root, tests=False, version=None)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"tests": true}'])
def test_a_stamp_that_is_not_whole_does_not_count(root: Path, text: str) -> None:
    (root / ".venv" / "lathe-setup.json").write_text(text)
    assert not bootstrap.is_ready(root, tests=False, version=None)


def test_a_moved_repository_asks_for_a_set_up(root: Path) -> None:
    moved = root.rename(root.with_name("moved"))
    assert not bootstrap.is_ready(moved, tests=False, version=None)


def test_an_environment_without_its_python_is_not_ready(root: Path) -> None:
    (root / ".venv" / "bin" / "python").unlink()
    (root / ".venv" / "bin" / "python").symlink_to(root / "gone")
    assert not bootstrap.is_ready(root, tests=False, version=None)
    assert bootstrap.venv_version(root / ".venv") is None


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 10, 0), (3, 13, 0), (4, 0, 0)])
def test_a_wrong_python_is_named_with_the_way_out(version: tuple[int, ...]) -> None:
    with pytest.raises(SystemExit, match=r"(?s)/x/python3 is Python .*make PYTHON=python3\.11") as caught:
        bootstrap.check_python(version, "/x/python3")
    assert ".".join(map(str, version)) in str(caught.value)


@pytest.mark.parametrize("version", [(3, 11, 2), (3, 12, 1)])
def test_the_supported_pythons_pass(version: tuple[int, ...]) -> None:
    bootstrap.check_python(version, "/x/python3")


def test_a_python_without_venv_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"sudo apt-get install python3\.11-venv"):
        bootstrap.check_python((3, 11, 2), "/usr/bin/python3")


def test_a_disk_too_small_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"about 3\.0 GiB in .*; 0\.5 GiB are free"):
        bootstrap.check_disk(tmp_path, bootstrap.NEEDED_FOR_ALL, free=GIB // 2)
    bootstrap.check_disk(tmp_path, bootstrap.NEEDED_FOR_ALL, free=4 * GIB)


def test_two_set_ups_wait_for_each_other(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(TOOLS)!r}); import bootstrap; from pathlib import Path\n"
        "bootstrap.hold_lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".setup" / "lock")]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    second = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    said = second.stdout.readline()
    assert f"process {first.pid}" in said
    assert "waiting" in said
    first.kill()
    assert second.stdout.readline() == "held\n"
    second.communicate("")
    first.communicate()
    assert second.returncode == 0


def test_a_package_cut_in_half_is_installed_again(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    whole = package(site, "whole")
    package(site, "unfinished").joinpath("INSTALLER").unlink()
    package(site, "short")
    (site / "short" / "__init__.py").write_text("x")
    package(site, "lost")
    (site / "lost" / "__init__.py").unlink()
    assert pip_install.remove_half_installed(tmp_path) == ["lost", "short", "unfinished"]
    assert [path.name for path in site.glob("*.dist-info")] == [whole.name]


PIP_OUTPUT = """\
Collecting numpy==2.4.6 (from -r requirements.txt (line 2))
  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (16.4 MB)
Collecting \x1b[1mnvidia-cublas-cu13>=13\x1b[0m
Building wheel for antlr4-python3-runtime (pyproject.toml): started
"""


def test_what_pip_says_becomes_one_line(tmp_path: Path) -> None:
    package(tmp_path, "pip")
    reading = pip_install.Reading(9, tmp_path)
    shown = []
    for line in PIP_OUTPUT.splitlines():
        reading.line(line)
        shown.append(reading.now())
    assert shown == [
        "Fetching numpy (1 of about 9)",
        "Downloading numpy 16.4 MB (1 of about 9)",
        "Fetching nvidia-cublas-cu13 (2 of about 9)",
        "Building antlr4-python3-runtime",
    ]
    reading.line("Installing collected packages: numpy, nvidia-cublas-cu13")
    package(tmp_path, "numpy")
    assert reading.now() == "Installing 2 of about 3 packages"


def test_the_large_cuda_build_is_refused_on_a_small_disk(tmp_path: Path) -> None:
    reading = pip_install.Reading(2, tmp_path)
    for line in PIP_OUTPUT.splitlines():
        reading.line(line)
    with pytest.raises(SystemExit, match=r"CUDA build.*9 GiB; 5\.0 GiB are free(?s:.)*LATHE_TORCH_INDEX=URL"):
        pip_install.warn_about_cuda(reading, tmp_path, pip_install.Progress("x"), free=5 * GIB)


@pytest.mark.parametrize(
    ("log", "word"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying ... NewConnectionError('<…>: Temporary failure in name resolution')", "Check the network"),
        ("ERROR: No matching distribution found for torch==2.13.0", "has no torch==2.13.0"),
        ("ERROR: something new", "last lines"),
    ],
)
def test_a_failed_install_gives_its_reason(log: str, word: str) -> None:
    assert word in pip_install.reason(log)


def test_an_install_that_fails_ends_with_the_reason_and_the_log(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    """A pip of three lines stands in for an index that lacks a package: tested is what we make of its output."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\necho 'ERROR: No matching distribution found for torch==9'\nexit 1\n")
    python.chmod(0o755)
    requirements, log = tmp_path / "requirements.txt", tmp_path / "pip.log"
    requirements.write_text("torch==9\n")
    log.write_text("")
    with pytest.raises(SystemExit, match=r"(?s)has no torch==9.*pip\.log.*same command again"):
        pip_install.install(tmp_path / ".venv", [requirements], requirements, log, None)
    assert "No matching distribution" in capfd.readouterr().err


def test_an_interrupt_ends_pip_and_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C while pip works: exit code 130, a sentence, and no pip left behind."""
    code = (
        f"import sys; sys.path.insert(0, {str(TOOLS)!r}); import bootstrap, pip_install; from pathlib import Path\n"
        "here = Path(sys.argv[1]); venv = here / '.venv'\n"
        "bootstrap.set_up = lambda *_: pip_install.install(venv, [here / 'r'], here / 'r', here / 'log', None)\n"
        "sys.exit(bootstrap.main([]))"
    )
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (tmp_path / "r").write_text("torch==2.13.0\n")
    (tmp_path / "log").write_text("")
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.part; mv {tmp_path}/pid.part {tmp_path}/pid\nexec sleep 300\n"
    )
    python.chmod(0o755)
    run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "run the same command again to go on" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_system_packages_are_named_when_root_is_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(system_packages, "missing", lambda: ["chromium", "bubblewrap"])
    monkeypatch.setattr(system_packages, "root_prefix", lambda: None)
    monkeypatch.setattr(system_packages.shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    with pytest.raises(SystemExit, match="sudo apt-get install --no-install-recommends chromium bubblewrap"):
        system_packages.install(tmp_path / "apt.log")


def test_system_packages_are_named_where_there_is_no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(system_packages, "missing", lambda: ["chromium"])
    monkeypatch.setattr(system_packages.shutil, "which", lambda name, **_: None)
    with pytest.raises(SystemExit, match=r"(?s)chromium.*package manager"):
        system_packages.install(tmp_path / "apt.log")


def test_the_lathe_command_runs_this_repository(tmp_path: Path) -> None:
    """The script in `bin` runs `app.cli` of the folder it was made for, also with a space in its path."""
    root = tmp_path / "a folder"
    (root / "app").mkdir(parents=True)
    (root / "app" / "__init__.py").write_text("")
    (root / "app" / "cli.py").write_text("import sys\ndef main():\n    print(__file__, sys.argv[1:])\n    return 3\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / ".venv")], check=True)
    bootstrap.link_project(root, root / ".venv")
    run = subprocess.run(
        [root / ".venv" / "bin" / "lathe", "demo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 3, run.stderr
    assert run.stdout == f"{root / 'app' / 'cli.py'} ['demo']\n"


def test_the_lock_file_covers_every_direct_pin() -> None:
    """Each exact pin of the requirement files stands in constraints.txt with the same version (torch excepted)."""
    held = dict(
        line.split("==") for line in (TOOLS.parent / "constraints.txt").read_text().splitlines() if "==" in line
    )
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-verl.txt"):
        pins = [line for line in (TOOLS.parent / name).read_text().splitlines() if line and not line.startswith("#")]
        assert pins
        for pin in pins:
            package_name, version = pin.split("==")
            key = package_name.split("[")[0].lower().replace("_", "-")
            assert key == "torch" or held[key] == version, pin


def test_the_lock_keeps_the_joint_version_and_leaves_cuda_to_torch() -> None:
    now = {"packaging": "26.3", "nvidia-ml-py": "13", "nvidia-nccl-cu13": "2", "torch": "2.13.0", "triton": "3"}
    text = lock.constraints(now, {**now, "packaging": "25.0", "ray": "2.60.0"})
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["nvidia-ml-py==13", "packaging==25.0"]


def test_a_second_set_up_is_decided_quickly(root: Path) -> None:
    """The whole program against a finished environment, from a cold process: about five bare starts of Python."""
    tools = root / "tools"
    tools.mkdir()
    for file in TOOLS.glob("*.py"):
        (tools / file.name).write_bytes(file.read_bytes())
    code = f"import sys; sys.path.insert(0, {str(tools)!r}); import bootstrap; print(bootstrap.wanted(bootstrap.ROOT))"
    wanted = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    (root / ".venv" / "lathe-setup.json").write_text(json.dumps({"wanted": wanted, "tests": False, "python": "3.11"}))

    def cost(*command: str | Path) -> float:
        """Least CPU seconds of five runs that have nothing to say."""
        found = []
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            run = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
            assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(found)

    assert cost(tools / "bootstrap.py") < 10 * cost("-c", "pass")
