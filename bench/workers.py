"""Worker processes that end with the process that began them, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import SemLock
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.files import alive, host

CHECK_S = 0.5
SHARED = Path("/dev/shm")  # where Linux keeps named semaphores
_OURS = re.compile(r"sem\.jsma-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-\w+")


def pool(workers: int, begin: Callable[..., None] | None = None, *arguments: Any) -> ProcessPoolExecutor:
    """Fresh processes that do not outlive this one.

    They are spawned, so that none inherits threads or locks. Those of the standard library would wait for work for
    ever where their parent was killed.

    Args:
        workers: number of processes.
        begin: is called first in each.
        arguments: of `begin`.
    """
    _remove_semaphores()
    with _marked():
        return ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), _begin, (os.getpid(), begin, arguments)
        )


def _begin(parent: int, begin: Callable[..., None] | None, arguments: Sequence[Any]) -> None:
    leave_with(parent)
    if begin is not None:
        begin(*arguments)


@contextmanager
def _marked() -> Iterator[None]:
    """Name semaphores that are made in the body after machine and process.

    The standard library has a process that removes them, but a kill of the whole group ends that process too.
    """
    names: Any = SemLock
    before = names.__dict__["_make_name"]
    if SHARED.is_dir():
        names._make_name = staticmethod(lambda: f"/jsma-{host()}-{os.getpid()}-{next(names._rand)}")
    try:
        yield
    finally:
        names._make_name = before


def _remove_semaphores() -> None:
    """Remove the semaphores of pools whose process was killed."""
    for path in SHARED.glob("sem.jsma-*"):
        found = _OURS.fullmatch(path.name)
        if found and found["host"] == host() and not alive(int(found["pid"])):
            with suppress(OSError):  # another process was faster, or may and we may not
                path.unlink()


def leave_with(parent: int) -> None:
    """End this process within a second after the process `parent`, which began it, is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def mapped(function: Callable[[Any], Any], items: Sequence[Any], workers: int, chunksize: int = 1) -> Iterator[Any]:
    """Call a function on each item in worker processes.

    Args:
        function: importable, and so are its items.
        items: what it is called on.
        workers: processes at most.
        chunksize: items that a process takes at a time.

    Returns:
        The results, in order of the items.

    Raises:
        UsageError: a process was ended from outside. What the function raises is raised here too, and no further item
            is begun then.
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
