"""Answer prompts greedily over a local socket, with the asked models kept loaded; ends after five idle minutes.

`python -m runners.programs.answer <socket path>`. One JSON line in, one out:
{"models": {name: folder}, "prompt": text, "max_new_tokens": n} → {"answers": {name: text}} or {"error": sentence}.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import traceback
from functools import lru_cache
from pathlib import Path
from typing import Any

IDLE_SECONDS = 300.0
LONGEST_REQUEST = 64 * 1024


def main(path: Path) -> int:
    """Serve until nobody asked for `IDLE_SECONDS`."""
    import torch

    torch.set_num_threads(1)
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401  loaded before anybody waits

    path.unlink(missing_ok=True)
    os.umask(0o077)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(8)
    server.settimeout(IDLE_SECONDS)
    try:
        while True:
            line, _ = server.accept()
            with line, contextlib.suppress(OSError):
                line.settimeout(10)
                line.sendall(json.dumps(_respond(line)).encode() + b"\n")
    except TimeoutError:
        return 0
    finally:
        path.unlink(missing_ok=True)


def _respond(line: socket.socket) -> dict[str, Any]:
    from runners.job import explain

    try:
        request = json.loads(line.makefile("rb").readline(LONGEST_REQUEST))
        answers = {
            name: _answer(folder, Path(folder).stat().st_mtime_ns, request["prompt"], int(request["max_new_tokens"]))
            for name, folder in request["models"].items()
        }
    except Exception as error:
        traceback.print_exc()
        return {"error": explain(error).as_json()}
    return {"answers": answers}


@lru_cache(maxsize=6)
def _load(folder: str, changed: int) -> tuple[Any, Any]:
    """The model and its tokenizer; `changed` makes a folder that was written anew load anew."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _answer(folder: str, changed: int, prompt: str, max_new_tokens: int) -> str:
    import torch

    model, tokenizer = _load(folder, changed)
    encoded = tokenizer(prompt, return_tensors="pt")
    with torch.no_grad():
        out = model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        )
    return str(tokenizer.decode(out[0, encoded["input_ids"].shape[1] :], skip_special_tokens=True))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
