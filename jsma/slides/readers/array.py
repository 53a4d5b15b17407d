"""A tile source over one array: a photo decoded whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from jsma.slides.types import Level


@dataclass
class ArraySource:
    """One image in memory, which is its only tile."""

    array: np.ndarray
    path: str = "<array>"
    levels: tuple[Level, ...] = field(default=())
    held_bytes: int = 0
    properties: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        height, width = self.array.shape[:2]
        self.held_bytes = self.array.nbytes
        self.levels = (Level(width, height, 1.0, width, height),)

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """The tile of a level as RGB pixels, [height, width, 3] uint8."""
        return self.array

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """The image was decoded without an error: it is black."""

    def check(self, tiles: list[list[int]]) -> None:
        """Nothing is left to check."""

    def close(self) -> None:
        """Nothing is held."""
        return None
