"""What may stand in which room, where the import contracts can't say it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = [
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "streamlit",
    "plotly",
    "ray",
    "verl",
    "pandas",
]
PAGE_MAY_IMPORT = {"app", "platform_core", "streamlit", "plotly"}
NOT_IN_A_PAGE = {"subprocess", "multiprocessing", "threading", "sqlite3", "socket", "ctypes", "os"}


def imports(file: Path) -> set[str]:
    """Top-level names of all modules that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def modules(package: str) -> list[str]:
    """Dotted names of all modules of a package."""
    files = sorted((ROOT / package).rglob("*.py"))
    return [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]


def loaded_by(names: list[str]) -> list[str]:
    """Names of heavy modules that a fresh Python has loaded after importing these."""
    code = (
        "import importlib, json, sys\n"
        f"[importlib.import_module(name) for name in {names!r} if not name.endswith('__main__')]\n"
        f"print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy: list[str] = json.loads(run.stdout.splitlines()[-1])
    return heavy


def test_the_core_imports_without_anything_heavy() -> None:
    core = [name for name in modules("platform_core") if ".migrations" not in name and ".versions" not in name]
    assert len(core) > 20
    assert loaded_by(core) == []


@pytest.mark.parametrize("page", sorted((ROOT / "pages").glob("*.py")), ids=lambda path: path.stem)
def test_a_page_only_asks_and_draws(page: Path) -> None:
    found = imports(page)
    foreign = found - PAGE_MAY_IMPORT - set(sys.stdlib_module_names)
    assert not foreign, f"{page.name} imports {foreign}; a page asks platform_core and draws with app's widgets"
    assert not found & NOT_IN_A_PAGE, f"{page.name} imports {found & NOT_IN_A_PAGE}; that belongs into platform_core"


@pytest.mark.parametrize("folder", ["app", "pages"])
def test_no_page_renders_html_made_from_data(folder: str) -> None:
    """`unsafe_allow_html` is for constant markup of our own: its text is never put together from values."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and any(keyword.arg == "unsafe_allow_html" for keyword in node.keywords):
                constant = all(isinstance(argument, (ast.Constant, ast.Name)) for argument in node.args)
                assert constant, f"{file.relative_to(ROOT)}:{node.lineno}"
