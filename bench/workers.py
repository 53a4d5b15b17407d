"""Worker processes that end with the process that began them, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from bench.errors import UsageError

CHECK_S = 0.5


def pool(workers: int) -> ProcessPoolExecutor:
    """Fresh processes (spawned, so that none inherits threads or locks) that do not outlive this one.

    Those of the standard library wait for work for ever where their parent was killed.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=leave_with, initargs=(os.getpid(),))


def leave_with(parent: int) -> None:
    """End this process within a second after the process `parent`, which began it, is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def mapped(function: Callable[[Any], Any], items: Sequence[Any], workers: int, chunksize: int = 1) -> Iterator[Any]:
    """`function` of each item, in order; UsageError where a process was ended from outside.

    What the function raises is raised here, and items that were not begun are not begun any more.
    """
    running = pool(max(1, min(workers, len(items))))
    try:
        yield from running.map(function, items, chunksize=chunksize)
    except BrokenProcessPool as error:
        raise UsageError(
            "a process that makes slides was ended from outside, perhaps for want of memory; run the same command "
            "again: slides that are complete are kept"
        ) from error
    finally:
        running.shutdown(cancel_futures=True)
