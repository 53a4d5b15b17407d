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
    """What the measuring processes share.

    Attributes:
        slides: folder of the slides.
        device: torch device.
        workers: decoding threads; 0: the product's default.
        threads: threads of torch.
    """

    slides: Path
    device: str = "cpu"
    workers: int = 1
    threads: int = 1


class Measuring:
    """One fresh measuring process; a context manager that leaves no process and no file behind.

    Args:
        side: the code that it runs.
        rig: what it measures on.
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
        command = [sys.executable, "-P", "-m", "gauge", str(rig.slides.resolve()), rig.device, str(rig.workers), what]
        path = os.pathsep.join([str(self.side.root), str(HERE)])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(rig.threads)}
        # all that it writes goes with the scratch folder
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": self._scratch.name}
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=self._log,
            cwd=self._scratch.name,
            env=environment,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def ask(self, do: str, **rest: Any) -> dict[str, Any]:
        """The answer to one command.

        Raises:
            NotComparableError: the process died.
        """
        line = ""
        with suppress(BrokenPipeError):
            print(json.dumps({"do": do, **rest}), file=self._child.stdin, flush=True)
            line = self._child.stdout.readline()  # pyright: ignore[reportOptionalMemberAccess]
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
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(BrokenPipeError):
                pipe.close()  # pyright: ignore[reportOptionalMemberAccess]
        self._log.close()
        self._scratch.cleanup()

    def __enter__(self) -> Measuring:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
