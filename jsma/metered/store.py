"""Features of a frozen encoder, computed once per (slide, region, encoder) and kept.

A run that uses a feature for the first time pays for it. Counters are exact and come from the read plan. Seconds are
charged at the unit costs that were measured when the feature was computed (`UnitCost`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

if TYPE_CHECKING:
    from jsma.cells.grid import CellGrid
    from jsma.metered.view import ViewSettings
    from jsma.slides import ReadCost, SlideInfo

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnitCost:
    """What computing some features took, in sums.

    Attributes:
        read_s: Seconds of reading and decoding.
        tiles: File tiles decoded in that time.
        encode_s: Seconds of encoding.
        patches: Patches encoded in that time.
        decoded_px: Pixels in those tiles.
        compressed_bytes: Bytes of those tiles in the file.
        flops: Floating-point operations of encoding.
    """

    read_s: float = 0.0
    tiles: int = 0
    encode_s: float = 0.0
    patches: int = 0
    decoded_px: int = 0
    compressed_bytes: int = 0
    flops: int = 0

    @classmethod
    def of_read(cls, seconds: float, cost: ReadCost) -> UnitCost:
        """Of one read, which took `seconds`."""
        return cls(seconds, cost.tiles, decoded_px=cost.decoded_px, compressed_bytes=cost.compressed_bytes)

    @classmethod
    def of_encoding(cls, patch_s: float, patch_flops: int, patches: int) -> UnitCost:
        """Of encoding `patches` patches at `patch_s` seconds and `patch_flops` operations each."""
        return cls(encode_s=patch_s * patches, patches=patches, flops=patch_flops * patches)

    def __add__(self, other: UnitCost) -> UnitCost:
        return UnitCost(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def read_charge_s(self, tiles: int) -> float:
        """Seconds that decoding `tiles` tiles costs, at the measured mean."""
        return self.read_s / self.tiles * tiles if self.tiles else 0.0

    def encode_charge_s(self, patches: int) -> float:
        """Seconds that encoding `patches` patches costs, at the measured mean."""
        return self.encode_s / self.patches * patches if self.patches else 0.0


class FeatureStore:
    """Features by slide, of the cells that were computed and of no others; lives in memory.

    One store serves every run on one dataset with one frozen encoder. What does not fit is not kept. It is computed
    again when it is asked for again, at the same counters, because a run pays for a feature once. A line says so the
    first time this happens.

    Attributes:
        dim: Width of a feature.
        max_bytes: What it may hold; by default half of the machine's memory. 0: it keeps nothing, and says nothing.
        precision: "float32" or "float16", how a feature is kept. float16 is exact only for features that the encoder
            hands out at that precision.
        unit: What computing features took in this process.
    """

    def __init__(self, dim: int, max_bytes: int | None = None, precision: str = "float32") -> None:
        self.dim, self.precision = dim, precision
        self.max_bytes = psutil.virtual_memory().total // 2 if max_bytes is None else max_bytes
        self.unit = UnitCost()
        self.held_bytes = 0
        self.full = False
        self._place: dict[str, np.ndarray] = {}  # cell -> row, -1 where absent
        self._rows: dict[str, np.ndarray] = {}
        self._used: dict[str, int] = {}

    @property
    def price(self) -> UnitCost:
        """The unit costs at which a run pays for features that it did not compute itself."""
        return self.unit

    @property
    def machines(self) -> list[dict[str, Any]]:
        """The machines that `price` was measured on, where that need not be this one; else nothing."""
        return []

    def flush(self) -> None:
        """Have what waits written to where it is kept; here nothing waits."""

    def key_of(self, slide: str, grid: CellGrid, view: ViewSettings, info: Callable[[], SlideInfo]) -> str:
        """The name under which the features of a slide are kept: here its id, because all runs share one view.

        Args:
            slide: Its id.
            grid: Where its cells lie.
            view: How it is looked at.
            info: Opens the slide if need be, and says how it is read.
        """
        return slide

    def note(self, slide: str, cost: UnitCost) -> None:
        """Computing features of the slide called `slide` (`key_of`) took `cost`."""
        self.unit += cost

    def get(self, slide: str, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [n, dim] of distinct `cells`, and which of them are absent, bool [n] (their rows are 0)."""
        rows = np.zeros((len(cells), self.dim), np.float32)
        if slide not in self._place:
            return rows, np.ones(len(cells), bool)
        place = self._place[slide][cells]
        lacking = place < 0
        rows[~lacking] = self._rows[slide][place[~lacking]]
        return rows, lacking

    def put(self, slide: str, n_cells: int, cells: np.ndarray, features: np.ndarray) -> None:
        """Keep the features [n, dim] of distinct `cells` of a slide of `n_cells`, if there is room for them."""
        place = self._place.get(slide)
        absent = np.ones(len(cells), bool) if place is None else place[cells] < 0
        used = self._used.get(slide, 0)
        if not self._room(slide, n_cells, used + int(absent.sum())):
            return
        place, rows = self._place[slide], self._rows[slide]
        place[cells[absent]] = np.arange(used, used + absent.sum())
        self._used[slide] = used + int(absent.sum())
        rows[place[cells]] = features

    def _room(self, slide: str, n_cells: int, needed: int) -> bool:
        """Make room for `needed` rows of a slide; False where that is more than may be held."""
        old = self._rows.get(slide)
        if old is not None and needed <= len(old):
            return True
        size = needed if old is None else min(n_cells, max(needed, len(old) * 5 // 4))
        row_bytes = self.dim * np.dtype(self.precision).itemsize
        more = (size - (0 if old is None else len(old))) * row_bytes + (n_cells * 4 if old is None else 0)
        if self.held_bytes + more > self.max_bytes:
            if not self.full and self.max_bytes:
                self.full = True
                _LOG.warning(
                    "the store of features is full (%.1f GB, half of this machine's memory); what does not fit is "
                    "computed again whenever it is needed",
                    self.max_bytes / 1e9,
                )
            return False
        self.held_bytes += more
        grown = np.zeros((size, self.dim), self.precision)
        if old is None:
            self._place[slide] = np.full(n_cells, -1, np.int32)
        else:
            grown[: len(old)] = old
        self._rows[slide] = grown
        return True
