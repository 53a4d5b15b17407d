"""Shared memory for pixels, used again once nobody looks at it: new pages cost a third of the decoding."""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np

MAX_IDLE_BYTES = 512 << 20  # kept for the next read; anything above is given back to the system at once

MAX_IDLE = 8  # segments kept; each holds two file descriptors
MAX_OUT = 64  # segments under arrays in use; pixels beyond that, and small ones, are copied to ordinary memory
COPIED_BYTES = 1 << 20


@dataclass(eq=False)
class Segment:
    """Shared memory without a name: a descriptor that can be sent, and its mapping in this process."""

    number: int
    size_bytes: int
    descriptor: int
    mapping: mmap.mmap
    era: int


class Segments:
    """The parent's segments. A segment comes back when the last array over it is collected."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._returned: deque[Segment] = deque()
        self._idle: OrderedDict[int, Segment] = OrderedDict()
        self._gone: deque[int] = deque()
        self._made = self._out = 0
        self.era = 0

    @property
    def idle_bytes(self) -> int:
        """Bytes kept for reuse."""
        return sum(segment.size_bytes for segment in list(self._idle.values()))

    def take(self, size_bytes: int) -> Segment:
        """Take a segment of at least `size_bytes`, at most twice as large. Its old content is still in it."""
        with self._lock:
            self._settle()
            fitting = [s for s in self._idle.values() if size_bytes <= s.size_bytes <= 2 * size_bytes]
            if fitting:
                best = min(fitting, key=lambda segment: segment.size_bytes)
                return self._idle.pop(best.number)
            self._made += 1
            number, era = self._made, self.era
        descriptor = os.memfd_create("jsma-slides")
        try:
            os.ftruncate(descriptor, size_bytes)
            return Segment(number, size_bytes, descriptor, mmap.mmap(descriptor, size_bytes), era)
        except BaseException:
            os.close(descriptor)
            raise

    def array(self, segment: Segment, shape: tuple[int, ...]) -> np.ndarray:
        """Show a segment as uint8 of `shape`. It comes back by itself when the array and its views are gone."""
        size_bytes = int(np.prod(shape, dtype=np.int64))
        base = np.frombuffer(segment.mapping, dtype=np.uint8, count=size_bytes)
        self._out += 1
        if size_bytes < COPIED_BYTES or self._out > MAX_OUT:
            copy = base.reshape(shape).copy()
            self.give_back(segment)
            return copy
        weakref.finalize(base, self.give_back, segment).atexit = False
        return base.reshape(shape)

    def give_back(self, segment: Segment) -> None:
        """Offer a segment for reuse. It may run inside the garbage collector, so it never waits for the lock."""
        self._returned.append(segment)
        if self._lock.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._lock.release()

    def _settle(self) -> None:
        while self._returned:
            segment = self._returned.popleft()
            self._out -= 1
            if segment.era != self.era or segment.size_bytes > MAX_IDLE_BYTES:
                self._free(segment)
            else:
                self._idle[segment.number] = segment
        while self.idle_bytes > MAX_IDLE_BYTES or len(self._idle) > MAX_IDLE:
            self._free(self._idle.popitem(last=False)[1])

    def _free(self, segment: Segment) -> None:
        if segment.era == self.era:  # the decoding process may still map it: free its pages now
            os.ftruncate(segment.descriptor, 0)
        os.close(segment.descriptor)
        self._gone.append(segment.number)

    def discard(self, segment: Segment) -> None:
        """Never use a segment again, after an interrupted read. A thread may still write to it."""
        os.close(segment.descriptor)
        self._gone.append(segment.number)

    def gone(self) -> list[int]:
        """List the numbers freed since the last call, which the decoding process is to unmap."""
        found = []
        while self._gone:
            found.append(self._gone.popleft())
        return found

    def new_era(self) -> None:
        """Start anew before a fork: the other process may see what is handed out now, so it is not used again."""
        for number in list(self._idle):
            if (segment := self._idle.pop(number, None)) is not None:
                self._free(segment)
        self.era += 1
