"""The program inside the sandbox: standard library only, read as text and run with `python -I -S -c`.

The first line is `{limits, confine, site, code}`; then `{call, args}` calls a function of the code, and
`{program, stdin | tests, seconds}` runs a program in a child of its own. One JSON object answers each line.
"""

from __future__ import annotations

import ast
import ctypes
import json
import os
import platform
import resource
import select
import signal
import struct
import sys
import time
from typing import Any

MOST_OUTPUT = 1 << 20
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER_MODE = 38, 22, 2
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
READ = (1 << 0) | (1 << 2) | (1 << 3)
FILE_READ = (1 << 0) | (1 << 2)
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALWAYS: dict[
    str, tuple[int, ...]
] = {  # sockets, other processes' memory, mounts and namespaces, keys, bpf, io_uring, modules
    "x86_64": (41, 42, 49, 53, 101, 310, 311, 165, 166, 272, 308, 248, 249, 250, 321, 298, 323, 425, 304, 175, 313),
    "aarch64": (198, 203, 200, 199, 117, 270, 271, 40, 39, 97, 268, 217, 218, 219, 280, 241, 282, 425, 265, 105, 273),
}
SIGNALS: dict[str, tuple[int, ...]] = {
    "x86_64": (62, 200, 424, 434, 109, 112),
    "aarch64": (129, 130, 424, 434, 154, 157),
}


def limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def landlock(libc: ctypes.CDLL, readable: list[str]) -> bool:
    """Reading below some folders, and nothing else; False where the kernel has no Landlock."""
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    bits = 13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16
    handled = struct.pack("QQQ", (1 << bits) - 1, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(CREATE_RULESET, ctypes.c_char_p(handled[:size]), size, 0)
    if rules < 0:
        return False
    for path in readable:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        rule = struct.pack("=Qi", READ if os.path.isdir(path) else FILE_READ, place)
        libc.syscall(ADD_RULE, rules, 1, ctypes.c_char_p(rule), 0)
        os.close(place)
    done = bool(libc.syscall(RESTRICT_SELF, rules, 0) == 0)
    os.close(rules)
    return done


def deny(libc: ctypes.CDLL, calls: dict[str, tuple[int, ...]]) -> bool:
    """Let these system calls fail with EPERM from now on; False where that can't be."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return False
    allow, refuse, kill = 0x7FFF0000, 0x00050000 | 1, 0x80000000
    steps = [(0x20, 0, 0, 4), (0x15, 1, 0, ARCHITECTURES[machine]), (0x06, 0, 0, kill), (0x20, 0, 0, 0)]
    steps += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, refuse)]
    for number in calls[machine]:
        steps += [(0x15, 0, 1, number), (0x06, 0, 0, refuse)]
    steps.append((0x06, 0, 0, allow))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    return bool(libc.prctl(SET_SECCOMP, FILTER_MODE, program, 0, 0) == 0)


def confine(libc: ctypes.CDLL, readable: list[str]) -> bool:
    """Landlock and seccomp on this process and all its children; whether both hold."""
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return landlock(libc, readable) and deny(libc, ALWAYS)


def described(error: BaseException) -> str:
    said = "".join(c for c in str(error)[:500] if c.isprintable() or c == " ")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def run_child(asked: dict[str, Any], confined: bool, libc: ctypes.CDLL) -> dict[str, Any]:
    """Run a program in a fork and return what came of it; whatever it started is killed afterwards."""
    token = os.urandom(16).hex()
    into, fed = os.pipe()
    told, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            os.dup2(into, 0)
            for one in (into, fed, told, *asked.pop("close")):
                os.close(one)
            seconds = int(asked["seconds"]) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            if confined:
                deny(libc, SIGNALS)
            if "tests" in asked:
                with_tests(asked["program"], asked["tests"], out, token)
            else:
                os.dup2(out, 1)
                os.close(out)
                sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
                exec(compile(asked["program"], "answer.py", "exec"), {"__name__": "__main__"})
                sys.stdout.flush()
            os._exit(0)
        except SystemExit as end:
            try:
                sys.stdout.flush()
            finally:
                os._exit(end.code if isinstance(end.code, int) else 1 if end.code else 0)
        except BaseException as error:
            try:
                sys.stdout.flush()
                if "tests" not in asked:
                    os.write(2, described(error).encode())
            finally:
                os._exit(1)
    os.close(into)
    os.close(out)
    deadline = time.monotonic() + asked["seconds"]
    said, late = exchange(fed, told, asked.get("stdin", "").encode(), deadline)
    status = None
    while not late and status is None:
        done, found = os.waitpid(child, os.WNOHANG)
        status = found if done else None
        late = not done and time.monotonic() >= deadline
        if not done:
            time.sleep(0.0005)
    try:
        os.killpg(child, signal.SIGKILL)
    except OSError:
        pass
    if not confined and os.getpid() <= 3:  # alone in a namespace of our own: nothing else may stay
        try:
            os.kill(-1, signal.SIGKILL)
        except OSError:
            pass
    if status is None:
        os.waitpid(child, 0)
    if late:
        return {"late": True}
    if "tests" in asked:
        head, _, rest = said.decode(errors="replace").rpartition(token)
        return {"results": json.loads(rest) if rest and not head else None}
    return {"stdout": said.decode(errors="replace"), "code": os.waitstatus_to_exitcode(status or 0)}


def exchange(fed: int, told: int, stdin: bytes, end: float) -> tuple[bytes, bool]:
    """Feed a child and read it until it ends, has said too much, or its time is over."""
    said, closed = b"", False
    os.set_blocking(fed, False)
    while len(said) < MOST_OUTPUT:
        ready, writable, _ = select.select([told], [] if closed else [fed], [], max(0, end - time.monotonic()))
        if not ready and not writable:
            break
        if writable:
            try:
                stdin = stdin[os.write(fed, stdin[:65536]) :] if stdin else stdin
            except OSError:
                stdin = b""
            if not stdin:
                os.close(fed)
                closed = True
        if ready:
            block = os.read(told, 65536)
            if not block:
                break
            said += block
    late = len(said) >= MOST_OUTPUT or time.monotonic() >= end
    for one in [told] if closed else [told, fed]:
        os.close(one)
    return said, late


def with_tests(program: str, tests: str, out: int, token: str) -> None:
    """Run the program, then each statement of the tests; asserts and calls count."""
    write, dump = os.write, json.dumps
    sys.stdout = sys.stderr
    names: dict[str, Any] = {"__name__": "answer"}
    results: list[str | None] = []
    broken = bad_tests = None
    statements: list[ast.stmt] = []
    try:
        statements = ast.parse(tests).body
    except Exception as error:
        bad_tests = described(error)
    try:
        exec(compile(program, "answer.py", "exec"), names)
    except BaseException as error:
        statements, broken = [], described(error)
    for statement in statements:
        counts = isinstance(statement, (ast.Assert, ast.Expr))
        try:
            exec(compile(ast.Module([statement], []), "tests.py", "exec"), names)
            if counts:
                results.append(None)
        except BaseException as error:
            results.append(described(error))
    said = {"bad_tests": bad_tests, "broken": broken, "passed": results}
    write(out, (token + dump(said)).encode())


def main() -> None:
    inp = os.fdopen(os.dup(0), "r", encoding="utf-8")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    quiet = os.open(os.devnull, os.O_RDWR)
    for one in (0, 1, 2):
        os.dup2(quiet, one)
    sys.stdin = open(0, closefd=False)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
    first = json.loads(inp.readline())
    libc = ctypes.CDLL(None, use_errno=True)
    confined = first["confine"] is not None
    limit(first["limits"])
    sys.path.extend(first["site"])
    held = confine(libc, first["confine"]) if confined else True
    names: dict[str, Any] = {"__name__": "reward"}
    broken = None
    if held and first.get("code") is not None:
        if confined:
            deny(libc, SIGNALS)
        try:
            exec(compile(first["code"], "code.py", "exec"), names)
        except BaseException as error:
            broken = described(error)
    functions = [name for name, value in names.items() if callable(value) and not name.startswith("_")][:100]
    print(json.dumps({"held": held, "broken": broken, "functions": functions}), file=out, flush=True)
    me = os.getpid()
    for line in inp:
        asked = json.loads(line)
        try:
            if "program" in asked:
                said = run_child({**asked, "close": [inp.fileno(), out.fileno()]}, confined, libc)
            else:
                said = {"ok": names[asked["call"]](*asked["args"])}
            text = json.dumps(said)
        except BaseException as error:
            text = json.dumps({"error": described(error)})
        if os.getpid() != me:  # a fork that the code made must not answer, too
            os._exit(0)
        print(text, file=out, flush=True)


if __name__ == "__main__":
    main()
