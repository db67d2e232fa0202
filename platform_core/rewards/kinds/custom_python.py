"""A function of one's own, in a sandbox."""

from __future__ import annotations

import json
from collections.abc import Sequence
from threading import Lock
from typing import Any, ClassVar, Literal

from platform_core.errors import Problem, Text, text
from platform_core.jobs.spec import setting
from platform_core.rewards.answer import Answer, Verdict, failed
from platform_core.rewards.function import RewardFunction
from platform_core.rewards.kinds.registry import Judge, Kind
from platform_core.rewards.resources import Resources
from platform_core.rewards.sandbox import SandboxWorker, sandbox
from platform_core.rewards.worker import WorkerDied


class CustomPython(RewardFunction):
    kind: ClassVar[str] = "custom_python"

    function: str = setting(
        "score",
        title="Function",
        help="Its name in the code: `def score(completion, reference, prompt, row)` returns a number, or a number and "
        "why.",
        pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$",
    )
    takes: Literal["answer", "batch"] = setting(
        "answer",
        title="Called with",
        help="One answer, or a list of all answers of a batch as dictionaries with these four keys; it then returns a "
        "list as long.",
        labels={"answer": "One answer", "batch": "A batch"},
    )
    seconds: float = setting(
        5.0, title="Time limit", help="For one call.", unit="s", advanced=True, gt=0, le=600, step=1
    )
    memory_mib: int = setting(
        1024, title="Memory limit", help="Of the sandbox.", unit="MiB", advanced=True, ge=64, le=65_536
    )


def open_(function: CustomPython, resources: Resources) -> Judge:
    """What the code says. Raises Problem when there is no code, it does not load, or nothing protects here."""
    code = resources.source()
    worker = sandbox(code, function.memory_mib)
    resources.stack.callback(worker.kill)
    check_loads(worker, function.function)

    one_at_a_time = Lock()  # verl asks from several threads

    def judge(answers: Sequence[Answer]) -> list[Verdict]:
        asked = [arguments(answer) for answer in answers]
        with one_at_a_time:
            if function.takes == "batch":
                return _batch(_call(worker, function, [asked]), len(answers))
            return [_verdict(_call(worker, function, list(one.values()))) for one in asked]

    return judge


def check_loads(worker: SandboxWorker, name: str) -> None:
    """Raise Problem when the code can't be loaded or lacks the function."""
    try:
        worker.start()
    except TimeoutError:
        raise Problem("The code of this reward does not end loading: keep work inside its functions.") from None
    except (WorkerDied, ValueError) as error:
        raise Problem("The code of this reward ended the sandbox while it was loaded: {why}.", why=str(error)) from None
    if worker.loaded["broken"] is not None:
        raise Problem("The code of this reward can't be loaded: {error}.", error=str(worker.loaded["broken"]))
    if name not in worker.loaded["functions"]:
        known = ", ".join(worker.loaded["functions"]) or "–"
        raise Problem("The code of this reward has no function {name}; it has {known}.", name=name, known=known)


def arguments(answer: Answer) -> dict[str, Any]:
    """An answer as code is given it; what JSON can't hold becomes text."""
    row = json.loads(json.dumps(dict(answer.row), default=str))
    return {"completion": answer.completion, "reference": answer.reference, "prompt": answer.prompt, "row": row}


def _call(worker: SandboxWorker, function: CustomPython, given: list[Any]) -> Any:
    """What the function returned, or the error as a Text."""
    try:
        said = worker.call({"call": function.function, "args": given}, function.seconds)
    except TimeoutError:
        return text("the code took longer than {seconds} s", seconds=f"{function.seconds:g}")
    except WorkerDied as error:
        return text("the code ended the sandbox ({why})", why=str(error))
    except ValueError as error:
        return text("the code's answer can't be read: {why}", why=str(error))
    return text("the code raised {error}", error=str(said["error"])) if "error" in said else said.get("ok")


def _batch(said: Any, wanted: int) -> list[Verdict]:
    if isinstance(said, Text):
        return [failed(said)] * wanted
    if not isinstance(said, list):
        return [failed(text("the code returned {kind}, not a list", kind=type(said).__name__))] * wanted
    if len(said) != wanted:
        error = text("the code returned {n} values for {wanted} answers", n=len(said), wanted=wanted)
        return [failed(error)] * wanted
    return [_verdict(value) for value in said]


def _verdict(said: Any) -> Verdict:
    if isinstance(said, Text):
        return failed(said)
    why = text("the code says so")
    if isinstance(said, list) and len(said) == 2 and isinstance(said[1], str):
        said, why = said[0], Text("{said}", {"said": said[1][:500]})
    if not isinstance(said, int | float):
        shown = repr(said)[:60]
        return failed(text("the code returned {value}, which is no number", value=shown))
    try:
        return Verdict(float(said), why)
    except OverflowError:
        return failed(text("the code returned a number that is too large"))


KIND = Kind(
    spec=CustomPython,
    title="Your own Python",
    summary="What your own function says, run in a sandbox without network and files.",
    icon="code",
    open=open_,
    where="sandbox",
    needs_row=True,
    order=90,
)
