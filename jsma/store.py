"""Features of a frozen encoder, computed once per (slide, region, encoder) and kept.

A run that uses a feature for the first time pays for it: exact counters from the read plan, seconds
at the unit costs measured on this machine when the store was filled (`UnitCost`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
    """Features by slide: [K, dim] float32 with a flag for the cells that are present.

    Lives in memory; one store serves every run on one dataset with one frozen encoder.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.unit = UnitCost()
        self._features: dict[str, np.ndarray] = {}
        self._present: dict[str, np.ndarray] = {}

    def missing(self, slide: str, n_cells: int, cells: np.ndarray) -> np.ndarray:
        """Those of `cells` whose features are absent, each once, in ascending order."""
        if slide not in self._present:
            self._present[slide] = np.zeros(n_cells, bool)
            self._features[slide] = np.zeros((n_cells, self.dim), np.float32)
        unique = np.unique(cells)
        return unique[~self._present[slide][unique]]

    def put(self, slide: str, cells: np.ndarray, features: np.ndarray) -> None:
        """Keep the features [n, dim] of `cells`."""
        self._features[slide][cells] = features
        self._present[slide][cells] = True

    def get(self, slide: str, cells: np.ndarray) -> np.ndarray:
        """Features [n, dim] of `cells`, all of which must be present."""
        return self._features[slide][cells]
