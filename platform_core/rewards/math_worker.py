"""The program of a math process: reads `{gold, answer, precision, seconds}` a line, says whether they are equal.

math_verify (Kydlíček et al., Hugging Face) and sympy are imported here and nowhere else.
"""

from __future__ import annotations

import json
import logging
import resource
import sys

LONGEST = 4_000
MEMORY = 2 << 30


def main() -> None:
    """Answer until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from math_verify import parse, verify
    from math_verify.errors import TimeoutException

    logging.disable(logging.CRITICAL)
    sys.set_int_max_str_digits(4300)
    inp, out = sys.stdin, sys.stdout
    sys.stdout = sys.stderr
    verify(parse("$1$"), parse("$\\frac{2}{2}$"))  # loads what is loaded late
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in inp:
        asked = json.loads(line)
        seconds = max(1, int(asked["seconds"]))
        try:
            gold, answer = (
                parse(f"${asked[name][:LONGEST]}$", parsing_timeout=seconds, raise_on_error=True)
                for name in ("gold", "answer")
            )
            equal = bool(gold and answer) and verify(
                gold, answer, float_rounding=asked["precision"], timeout_seconds=seconds, raise_on_error=True
            )
            said: dict[str, object] = {"equal": bool(equal), "gold": bool(gold), "answer": bool(answer)}
        except TimeoutException:
            said = {"late": True}
        except Exception:
            said = {"equal": False, "gold": True, "answer": False}
        print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    main()
