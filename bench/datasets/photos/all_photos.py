"""Worker processes convert photos. A process that is killed costs one photo at most, and memory is bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import psutil

from bench.datasets.photos.convert import Job, Provenance, convert
from bench.files import NO_ROOM
from bench.workers import pool as workers_pool
from jsma.slides import SlideError
from jsma.slides.formats.photo import photo_size

BYTES_A_PX = 16  # held while a photo is converted, at most (RGBA of 16 bits; plain RGB takes 7)
MEMORY_SHARE = 0.7  # of what is free at the start, for all photos in work at a time
Settle = Callable[[str, Provenance | str], None]


@dataclass(frozen=True)
class Task:
    """A photo to convert.

    Attributes:
        name: Id of the slide.
        job: The conversion.
        size_px: Width and height; (0, 0) where the header cannot be read.
    """

    name: str
    job: Job
    size_px: tuple[int, int]

    @property
    def needed_bytes(self) -> int:
        """Most memory that its conversion takes."""
        return self.size_px[0] * self.size_px[1] * BYTES_A_PX


def convert_all(jobs: dict[str, Job], workers: int, settle: Settle) -> None:
    """Convert photos, as many at a time as memory allows.

    Where a worker process dies (killed, out of memory), the photos it may have worked on are tried once more, each
    alone in a fresh process. The others follow.

    Args:
        jobs: Id of the slide -> its conversion.
        workers: Most processes.
        settle: Called once for each photo, with its id and its provenance, or why it failed.

    Raises:
        OSError: the disk is full.
    """
    free_bytes = int(psutil.virtual_memory().available * MEMORY_SHARE)
    waiting: deque[Task] = deque()
    for name, job in jobs.items():
        task = Task(name, job, _size(job.source))
        if task.needed_bytes > free_bytes:
            settle(name, _too_large(task, free_bytes))
        else:
            waiting.append(task)
    while waiting:
        for task in _until_a_worker_dies(waiting, min(workers, len(waiting)), free_bytes, settle):
            if _until_a_worker_dies(deque([task]), 1, free_bytes, settle):
                settle(task.name, "the process that converted it was killed, twice; free some memory and run it again")


def _until_a_worker_dies(waiting: deque[Task], workers: int, free_bytes: int, settle: Settle) -> list[Task]:
    """Convert what waits, and return the tasks that were being converted when a process died."""
    running: dict[Future[Provenance], Task] = {}
    pool = workers_pool(workers)
    try:
        while waiting or running:
            while waiting and len(running) < workers and _fits(waiting[0], running, free_bytes):
                task = waiting.popleft()
                running[pool.submit(convert, task.job)] = task
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            died = [running[future] for future in ended if isinstance(future.exception(), BrokenProcessPool)]
            for future in ended:
                if running[future] not in died:
                    settle(running.pop(future).name, _outcome(future))
            if died:
                return list(running.values())
    except BrokenProcessPool:  # found out when the next one was handed over
        waiting.appendleft(task)
        return list(running.values())
    finally:  # interrupted: what is complete stays, the rest is not begun
        pool.shutdown(wait=True, cancel_futures=True)
    return []


def _fits(task: Task, running: dict[Future[Provenance], Task], free_bytes: int) -> bool:
    return not running or task.needed_bytes + sum(t.needed_bytes for t in running.values()) <= free_bytes


def _outcome(future: Future[Provenance]) -> Provenance | str:
    try:
        return future.result()
    except SlideError as error:
        return str(error)
    except OSError as error:
        if error.errno in NO_ROOM:  # not the photo's fault, and the next would fail as well
            raise
        return f"its pyramid cannot be written ({error.strerror or error}); mend that and run the same command again"


def _size(path: str) -> tuple[int, int]:
    try:
        return photo_size(path)
    except SlideError:  # converting it says what is wrong
        return 0, 0


def _too_large(task: Task, free_bytes: int) -> str:
    return (
        f"{task.job.source}: {task.size_px[0]}x{task.size_px[1]} px take about {task.needed_bytes / 1e9:.1f} GB of "
        f"memory to convert, {free_bytes / 1e9:.1f} GB may be used; free some, or use vips tiffsave --tile --pyramid"
    )
