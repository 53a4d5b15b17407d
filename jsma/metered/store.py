"""Features of a frozen encoder, computed once per (slide, region, encoder) and kept.

A run that uses a feature for the first time pays for it: exact counters from the read plan, seconds
at the unit costs measured on this machine when the store was filled (`UnitCost`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import psutil

_LOG = logging.getLogger(__name__)


@dataclass
class UnitCost:
    """Running sums of what filling the store took: read_s over tiles, encode_s over patches."""

    read_s: float = 0.0
    tiles: int = 0
    encode_s: float = 0.0
    patches: int = 0

    def read_charge_s(self, tiles: int) -> float:
        """Seconds that decoding `tiles` tiles costs, at the measured mean."""
        return self.read_s / self.tiles * tiles if self.tiles else 0.0

    def encode_charge_s(self, patches: int) -> float:
        """Seconds that encoding `patches` patches costs, at the measured mean."""
        return self.encode_s / self.patches * patches if self.patches else 0.0


class FeatureStore:
    """Features by slide, of the cells that were computed and of no others; lives in memory.

    One store serves every run on one dataset with one frozen encoder. max_bytes: what it may hold (None: half of the
    machine's memory). What does not fit is not kept: it is computed again when it is asked for again, at the same
    counters, for a run pays for a feature once. The first time this happens a line says so.
    """

    def __init__(self, dim: int, max_bytes: int | None = None) -> None:
        self.dim = dim
        self.max_bytes = psutil.virtual_memory().total // 2 if max_bytes is None else max_bytes
        self.unit = UnitCost()
        self.held_bytes = 0
        self.full = False
        self._place: dict[str, np.ndarray] = {}  # cell -> row, -1 where absent
        self._rows: dict[str, np.ndarray] = {}
        self._used: dict[str, int] = {}

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
        more = (size - (0 if old is None else len(old))) * self.dim * 4 + (n_cells * 4 if old is None else 0)
        if self.held_bytes + more > self.max_bytes:
            if not self.full:
                self.full = True
                _LOG.warning(
                    "the store of features is full (%.1f GB, half of this machine's memory); what does not fit is "
                    "computed again whenever it is needed",
                    self.max_bytes / 1e9,
                )
            return False
        self.held_bytes += more
        grown = np.zeros((size, self.dim), np.float32)
        if old is None:
            self._place[slide] = np.full(n_cells, -1, np.int32)
        else:
            grown[: len(old)] = old
        self._rows[slide] = grown
        return True
