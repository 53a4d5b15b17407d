"""Wall seconds and CPU seconds of this process and of every process below it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

CLOCKS = ("cpu", "wall")


@dataclass(frozen=True)
class Seconds:
    """What one call took: on the clock, and burned by the processors."""

    cpu: float
    wall: float


def _clock_of(pid: int) -> float:
    """CPU seconds of a process with all its threads; nanoseconds on Linux, the system's ticks elsewhere."""
    if sys.platform == "linux":
        return time.clock_gettime((~pid << 3) | 2)  # the clock that clock_getcpuclockid(3) names
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _children() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True)]


def _reaped() -> float:
    times = os.times()
    return times.children_user + times.children_system


def timed(call: Callable[[], object]) -> Seconds:
    """Run `call` once. A child that it starts counts in full, one that ends in it as its parent's record has it."""
    before = {pid: _clock_of(pid) for pid in _children()}
    reaped = _reaped()
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for pid in _children():
        cpu += _clock_of(pid) - before.pop(pid, 0.0)
    if before:  # gone meanwhile: their whole life is in the record of the reaped
        cpu += _reaped() - reaped - sum(before.values())
    return Seconds(cpu, wall)
