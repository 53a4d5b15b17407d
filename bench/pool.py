"""Work in several processes: a process that is killed from outside is one line, not a traceback."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from bench.errors import UsageError


def mapped(function: Callable[[Any], Any], items: Sequence[Any], workers: int, chunksize: int = 1) -> Iterator[Any]:
    """`function` of each item, in order; UsageError where a process was ended from outside.

    What the function raises is raised here, and items that were not begun are not begun any more.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max(1, min(workers, len(items))), mp_context=context)
    try:
        yield from pool.map(function, items, chunksize=chunksize)
    except BrokenProcessPool as error:
        raise UsageError(
            "a process that makes slides was ended from outside, perhaps for want of memory; run the same command "
            "again: slides that are complete are kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
