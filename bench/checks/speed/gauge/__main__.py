"""The measuring process: one JSON command a line on stdin, one JSON answer a line on stdout.

Commands are {"do": "where"}: the folder that `jsma` came from; {"do": "prepare", "operation"}: make the operation and
run it twice, and answer the counters of the second run; {"do": "time", "operation"}: seconds of one execution. The
process ends with its stdin.
"""

from __future__ import annotations

from .answers import ANSWERS

# isort: split
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

with suppress(ImportError):  # before torch: it can hang after it
    import cucim  # noqa: F401

import torch

import jsma

from .clocks import Seconds, timed
from .decodes import Decodings
from .operations import OPERATIONS, Counts
from .workload import Place, Workload


class Server:
    """Prepared operations of one workload."""

    def __init__(self, place: Place, count: bool):
        self.work = Workload(place)
        self.decodings = Decodings() if count else None
        self.runs: dict[str, Callable[[], Counts]] = {}

    def where(self) -> dict[str, Any]:
        """Where the measured code lies, and with which versions it runs."""
        return {"root": str(Path(str(jsma.__file__)).resolve().parents[1]), "torch": torch.__version__}

    def prepare(self, operation: str) -> dict[str, Any]:
        """Counters of one execution; of the second, so that what is kept from the first is not charged."""
        run = self.runs[operation] = OPERATIONS[operation].prepare(self.work)
        run()
        if self.decodings is not None:
            self.decodings.reset()
        counts = {name: int(value) for name, value in run().items()}
        if self.decodings is not None:
            counts["tile_decodings"] = self.decodings.number
        return {"counters": counts}

    def time(self, operation: str) -> dict[str, Any]:
        """CPU and wall seconds of one execution, from one sample of several."""
        run, executions = self.runs[operation], OPERATIONS[operation].executions

        def sample() -> None:
            for _ in range(executions):
                run()
            self.work.synchronise()

        self.work.synchronise()
        found = timed(sample)
        return asdict(Seconds(found.cpu / executions, found.wall / executions))


def main() -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the driver, which decides
    folder, device, workers, count = sys.argv[1:5]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    server = Server(Place(Path(folder), device, int(workers) or None, in_process=count == "count"), count == "count")
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(server, command.pop("do"))(**command)
        except Exception as error:  # the other operations go on; the driver lists this one
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        print(json.dumps(answer), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
