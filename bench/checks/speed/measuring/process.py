"""The driver's side of a measuring process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import NotComparableError

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[2]


@dataclass(frozen=True)
class Side:
    """A version of the code to measure: `root` is the folder that holds its `jsma` and `baselines`."""

    name: str
    root: Path


@dataclass(frozen=True)
class Rig:
    """What the measuring processes share: slides, torch device, decoding threads (0: the product's default)."""

    slides: Path
    device: str = "cpu"
    workers: int = 1
    threads: int = 1


class Measuring:
    """One fresh measuring process for `side`; a context manager that leaves no process and no file behind.

    count: tiles are decoded in the process itself and counted one by one.
    """

    def __init__(self, side: Side, rig: Rig, count: bool = False):
        self.side = side
        self._scratch = tempfile.TemporaryDirectory(prefix="jsma-gate-")
        self._log = open(Path(self._scratch.name) / "log", "w+b")  # noqa: SIM115
        # an interrupt between the start of the process and the `with` would leave process and folder: it waits
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._start(rig, "count" if count else "time")
        except BaseException:
            self._log.close()
            self._scratch.cleanup()
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
            raise
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)  # one that came meanwhile is raised here
        except BaseException:
            self.close()
            raise

    def _start(self, rig: Rig, what: str) -> None:
        receive, send = os.pipe()
        command = [
            sys.executable,
            "-P",
            "-m",
            "gauge",
            str(send),
            str(rig.slides.resolve()),
            rig.device,
            str(rig.workers),
            what,
        ]
        path = os.pathsep.join([str(self.side.root), str(HERE)])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(rig.threads)}
        # all that it writes goes with the scratch folder
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": self._scratch.name}
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[send],
                cwd=self._scratch.name,
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            os.close(receive)
            raise
        finally:
            os.close(send)
        self._answers = os.fdopen(receive)

    def ask(self, do: str, **rest: Any) -> dict[str, Any]:
        """The answer to one command. NotComparableError where the process died."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write((json.dumps({"do": do, **rest}) + "\n").encode())
            self._child.stdin.flush()
        except BrokenPipeError:
            line = ""
        else:
            line = self._answers.readline()
        if not line:
            raise NotComparableError(f"{self.side.name}: the measuring process died: {self._last_words()}")
        return json.loads(line)

    def _last_words(self) -> str:
        self._log.flush()
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self._child.poll()}"

    def check_root(self) -> None:
        """NotComparableError unless the process really runs the code of this side."""
        found = Path(self.ask("where")["root"])
        if found != self.side.root.resolve():
            raise NotComparableError(f"{self.side.name}: measured {found} instead of {self.side.root}")

    def close(self) -> None:
        """End the process and all it started, and remove its folder. It keeps nothing that is worth an orderly end."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)  # its session: itself and the decoding process
        self._child.wait()
        with suppress(BrokenPipeError):
            assert self._child.stdin is not None
            self._child.stdin.close()
        self._answers.close()
        self._log.close()
        self._scratch.cleanup()

    def __enter__(self) -> Measuring:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
