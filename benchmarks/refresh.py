"""What one refresh of eight charts costs as a run grows: `python -m benchmarks.refresh`. CPU time of the server.

Reads the curves, builds the figures and their JSON as the monitor does, over 10 k and 1 M steps in turns; the least
of the rounds counts. The target is a ratio of at most 1.3 in CPU and in bytes.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from time import process_time

import numpy as np

from app.curve_axes import Axis, placed, ruler_of
from app.curves import read_curve
from app.live_chart import Line, line_figure, smoothed
from platform_core.metrics.reader import Reader
from platform_core.metrics.writer import Writer

CHARTS = [f"metric_{at}" for at in range(8)]


def write(path: Path, steps: int) -> None:
    """A run with eight noisy metrics."""
    noise = np.random.default_rng(0).normal(size=(4096, len(CHARTS))).tolist()
    with Writer(path) as writer:
        for step in range(steps):
            writer.metrics(step, dict(zip(CHARTS, noise[step % 4096], strict=True)))
            if step % 20_000 == 0:
                writer.flush()


def refresh(path: Path, axis: Axis, zoomed: tuple[int, int] | None) -> int:
    """One refresh; returns its bytes of JSON."""
    size = 0
    with Reader(path) as run:
        ruler = ruler_of(run, axis)
        for name in CHARTS:
            curve = read_curve(run, name, zoomed)
            x = curve.steps if ruler is None else placed(curve.steps, ruler)
            low, high = (None, None) if curve.exact else (curve.minimum, curve.maximum)
            line = Line(x, curve.mean, name, 0, low, high, smoothed(curve.mean, 0.6))
            size += len(json.dumps(line_figure([line], x_title="step", axis=axis)))
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs=2, default=[10_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = {steps: Path(folder) / f"{steps}.sqlite" for steps in chosen.steps}
        for steps, path in paths.items():
            write(path, steps)
        for axis, zoomed in (("step", None), ("time", None), ("step", (4000, 4400))):
            least, size = dict.fromkeys(paths, 1e9), {}
            for _round in range(chosen.rounds):
                for steps, path in paths.items():
                    began = process_time()
                    size[steps] = refresh(path, axis, zoomed)  # type: ignore[arg-type]
                    least[steps] = min(least[steps], process_time() - began)
            short, long = chosen.steps
            told = ", ".join(f"{s:,} steps {1000 * least[s]:.1f} ms {size[s] / 1000:.0f} kB" for s in paths)
            ratios = f"CPU {least[long] / least[short]:.2f}, bytes {size[long] / size[short]:.2f}"
            print(f"over {axis}, zoom {zoomed}: {told}; ratio {ratios}; load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
