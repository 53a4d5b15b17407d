"""What a strategy spent: exact counters, and seconds by stage that sum to the wall clock.

Nothing here runs a model or opens a slide; `jsma.metered` does, and reports to a `Meter`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from operator import add, attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jsma.slides.types import ReadCost

STAGES: tuple[str, ...] = (
    "open",
    "overview",
    "attention",
    "sample",
    "read",
    "transfer",
    "encode",
    "aggregate",
    "backward",
    "optimiser",
    "other",
)


@dataclass(frozen=True)
class Counters:
    """What was spent on one slide in one pass, or summed over many: exact integers.

    Attributes:
        patches: Patches that were asked for.
        unique_patches: Different ones among them.
        output_px: Pixels that were handed to the strategy.
        tiles: Tiles of the file that were decoded.
        decoded_px: Pixels in those tiles.
        compressed_bytes: Their bytes in the file.
        calls: Calls of the decoder.
        encoder_flops: Floating-point operations of the encoder's forward passes.
        store_hits: Patches whose features this run had already paid for.
    """

    patches: int = 0
    unique_patches: int = 0
    output_px: int = 0
    tiles: int = 0
    decoded_px: int = 0
    compressed_bytes: int = 0
    calls: int = 0
    encoder_flops: int = 0
    store_hits: int = 0

    @classmethod
    def of_read(cls, cost: ReadCost, output_px: int = 0, encoder_flops: int = 0) -> Counters:
        """Count one read: what it cost, the pixels that it handed out, and the work of encoding them."""
        return cls(
            output_px=output_px,
            tiles=cost.tiles,
            decoded_px=cost.decoded_px,
            compressed_bytes=cost.compressed_bytes,
            calls=cost.calls,
            encoder_flops=encoder_flops,
        )

    def __add__(self, other: Counters) -> Counters:
        return Counters(*map(add, _values(self), _values(other)))


_values = attrgetter(*(field.name for field in fields(Counters)))


class Meter:
    """Seconds by stage, and counters by slide, of one pass.

    Time outside every stage counts as "other", so that the stages sum to the wall clock exactly. `charge` adds seconds
    for work whose result came from a shared store. They are part of the stages, and `charged_s` tells them apart:
    wall_s = sum(stages) - charged_s.

    Attributes:
        counters: Id of a slide -> what was spent on it.
    """

    def __init__(self) -> None:
        self._ns: dict[str, int] = dict.fromkeys(STAGES, 0)
        self._charged: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._stack = ["other"]
        self._started = self._last = time.perf_counter_ns()
        self.counters: dict[str, Counters] = {}
        self._unique: dict[str, set[int]] = {}

    def _tick(self) -> None:
        now = time.perf_counter_ns()
        self._ns[self._stack[-1]] += now - self._last
        self._last = now

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body as one of `STAGES`; the time of a stage inside another does not count for the outer one."""
        if name not in self._ns:
            raise ValueError(f"unknown stage {name!r}; stages are {', '.join(STAGES)}")
        self._tick()
        self._stack.append(name)
        try:
            yield
        finally:
            self._tick()
            self._stack.pop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time of the body, which is no part of the pass (saving what was done, for instance)."""
        self._tick()
        try:
            yield
        finally:
            now = time.perf_counter_ns()
            self._started += now - self._last
            self._last = now

    def state(self) -> dict[str, Any]:
        """Return all that was spent so far as plain data, with the patches seen of each slide, int64 [n]."""
        self._tick()
        return {
            "ns": dict(self._ns),
            "charged": dict(self._charged),
            "counters": {slide: list(_values(counters)) for slide, counters in self.counters.items()},
            "unique": {slide: np.fromiter(seen, np.int64, len(seen)) for slide, seen in self._unique.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`. What was counted since this meter was made is forgotten."""
        self._ns, self._charged = dict(state["ns"]), dict(state["charged"])
        self.counters = {slide: Counters(*values) for slide, values in state["counters"].items()}
        self._unique = {slide: set(cells.tolist()) for slide, cells in state["unique"].items()}
        self._last = time.perf_counter_ns()
        self._started = self._last - sum(self._ns.values())

    def charge(self, stage: str, seconds: float) -> None:
        """Add `seconds` of work that another run did earlier and that is used here for the first time."""
        self._charged[stage] += seconds

    def count(self, slide: str, counters: Counters) -> None:
        """Add `counters` to those of `slide`."""
        self.counters[slide] = self.counters.get(slide, Counters()) + counters

    def new_patches(self, slide: str, cells: list[int]) -> int:
        """Count those of `cells` that were not asked for before in this pass, and mark them as seen."""
        seen = self._unique.setdefault(slide, set())
        before = len(seen)
        seen.update(cells)
        return len(seen) - before

    @property
    def wall_s(self) -> float:
        """Seconds on the clock since the meter was made."""
        self._tick()
        return (self._last - self._started) / 1e9

    @property
    def charged_s(self) -> float:
        """Seconds charged for results that came from a shared store."""
        return sum(self._charged.values())

    def seconds(self) -> dict[str, float]:
        """Add up the seconds of each stage, measured and charged; they sum to wall_s + charged_s."""
        self._tick()
        return {name: self._ns[name] / 1e9 + self._charged[name] for name in STAGES}

    def total(self) -> Counters:
        """Sum the counters over the slides."""
        return sum(self.counters.values(), Counters())
