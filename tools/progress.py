"""One live line on a terminal; a line now and then where the output goes to a file."""

import sys
import threading
import time
from typing import Optional


def clock(seconds: float) -> str:
    """A duration as people read it: `42 s`, `3 min 05 s`."""
    whole = int(seconds)
    return "{} s".format(whole) if whole < 60 else "{} min {:02d} s".format(whole // 60, whole % 60)


class Progress:
    """Shows what is being done and for how long, until the block ends.

    On a terminal the line is redrawn twice a second; elsewhere a line is printed at most every `every` seconds.
    """

    def __init__(self, text: str, every: float = 10.0) -> None:
        self.text = text
        self.every = every
        self.live = sys.stdout.isatty()
        self.started = time.monotonic()
        self.printed: Optional[float] = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Progress":
        self._draw()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        line = "{} ({})".format(self.text, clock(time.monotonic() - self.started))
        print("\r\033[K" + line if self.live else line, flush=True)

    def show(self, text: str) -> None:
        """Replace the text."""
        self.text = text

    def note(self, text: str) -> None:
        """Print a line that stays."""
        print(("\r\033[K" if self.live else "") + text, flush=True)

    def _tick(self) -> None:
        while not self.ended.wait(0.5):
            self._draw()

    def _draw(self) -> None:
        now = time.monotonic()
        line = "{} … {}".format(self.text, clock(now - self.started))
        if self.live:
            print("\r\033[K" + line, end="", flush=True)
        elif self.printed is None or now - self.printed >= self.every:
            self.printed = now
            print(line, flush=True)
