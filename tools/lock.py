"""Write constraints.txt: the exact version of everything that the requirement files bring along.

pip resolves the requirement files together with tools/planned.txt; the list keeps what the requirement files need.
torch's own CUDA packages are left out (torch pins them), and so are local version labels such as `+cpu`.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Every package of the requirements files (but requirements-gpu.txt) with all they bring along, for `pip install -c`.
# Written by `make lock`; resolved together with tools/planned.txt, so that those can come without moving a pin.
"""


def resolve(files: list[Path]) -> dict[str, str]:
    """Versions by normalised name that pip would install for these files into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--report", str(report), *(word for file in files for word in ("-r", str(file)))]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    return {item["name"].lower().replace("_", "-").replace(".", "-"): item["version"].split("+")[0] for item in found}


def constraints(now: dict[str, str], with_planned: dict[str, str]) -> str:
    """The file's text: the versions of the joint resolution for the packages that are needed now."""
    left_out = re.compile(r"torch|triton|cuda-.*|nvidia-(?!ml-py).*")
    names = [name for name in sorted(now) if not left_out.fullmatch(name)]
    return HEADER + "".join(f"{name}=={with_planned[name]}\n" for name in names)


def main() -> int:
    """Resolve and write."""
    files = [ROOT / name for name in ("requirements.txt", "requirements-dev.txt", "requirements-verl.txt")]
    text = constraints(resolve(files), resolve([*files, ROOT / "tools" / "planned.txt"]))
    (ROOT / "constraints.txt").write_text(text)
    print(f"constraints.txt holds {text.count('==')} packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
