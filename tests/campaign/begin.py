"""Begins commands as children of a process that has imported everything: a start takes no seconds, so many can be made.

Reads a request a line, as JSON, and answers with a line. {"argv", "cwd", "env", "error", "kill_at"} begins
`jsma-bench ARGV` in a process group of its own, stderr to the file `error`, and answers with its process id; it kills
itself just before its change number `kill_at` of what is in `cwd`, 0: never. {"wait": pid, "seconds": s} answers with
the exit code, negative for a signal, null where it runs on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree")


def die_at(number: int, folder: str) -> None:
    """SIGKILL this process just before the change of number `number` (from 1) to what is in `folder`."""
    made = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal made
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (opened or event in CHANGES) and os.path.abspath(os.fsdecode(str(arguments[0]))).startswith(folder):
            made += 1
            if made == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def begin(request: dict[str, Any]) -> int:
    """Fork; the child is `jsma-bench`."""
    if pid := os.fork():
        return pid
    os.setsid()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for number, path in ((0, os.devnull), (1, os.devnull), (2, request["error"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    sys.argv = ["jsma-bench", *request["argv"]]
    sys.modules["__main__"] = sys.modules["bench.cli"]  # which processes that it spawns import
    code = 1
    try:
        if request["kill_at"]:
            die_at(request["kill_at"], request["cwd"])
        code = sys.modules["bench.cli"].main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        _end(code)


def _end(code: int) -> None:
    """As the interpreter ends: exit handlers run."""
    import atexit
    import threading

    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(code or 0)


def waited(pid: int, seconds: float) -> int | None:
    """The exit code of `pid`, negative for a signal; None where it runs on after so long."""
    until = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended or time.monotonic() > until:
            return os.waitstatus_to_exitcode(status) if ended else None
        time.sleep(0.01)


if __name__ == "__main__":
    import bench.analysis.rows  # noqa: F401
    import bench.cli  # noqa: F401
    import bench.cli.app  # noqa: F401
    import bench.datasets.photos.prepare  # noqa: F401
    import bench.report.page.build  # noqa: F401
    import bench.report.sweep  # noqa: F401
    import bench.runs.plan  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(waited(asked["wait"], asked["seconds"]) if "wait" in asked else begin(asked)), flush=True)
