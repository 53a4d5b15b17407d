"""What every reader is: a source of decoded tiles, and how to open one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jsma.slides.types import DamagedSlideError, Level, SlideError

FEW = 40  # a tile of less than this part of its pixels' bytes is held against the one before it


class TileSource(Protocol):
    """Decodes one tile at a time, from several threads at once."""

    path: str
    levels: tuple[Level, ...]
    held_bytes: int  # pixels kept in memory while the source is open

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """uint8 [h,w,3], clipped to the level's size; valid until this thread's next call."""
        ...

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """Raise unless a tile that came back all black is known to be black in the file."""
        ...

    def check(self, tiles: list[list[int]]) -> None:
        """After a read of `tiles` (level, row, col): raise if any of them turns out to be damaged."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


@dataclass(frozen=True)
class SourceSpec:
    """All a decoding process needs to open a source; small and picklable. `stamp` is (mtime_ns, size_bytes)."""

    path: str
    reader: str
    levels: tuple[Level, ...]
    stamp: tuple[int, int] = (0, 0)
    decoder: str = "cpu"


def tile_box(level: Level, row: int, col: int) -> tuple[int, int, int, int]:
    """x, y, width, height of a tile in level pixels, clipped to the level."""
    x_px, y_px = col * level.tile_width_px, row * level.tile_height_px
    return (
        x_px,
        y_px,
        min(level.tile_width_px, level.width_px - x_px),
        min(level.tile_height_px, level.height_px - y_px),
    )


def read_checked(source: TileSource, level: int, row: int, col: int) -> np.ndarray:
    """One tile; whatever its decoder says against it, and black that is not the file's own, is a DamagedSlideError."""
    try:
        tile = source.read_tile(level, row, col)
        if not (tile[-1, -1, 1] or tile[::32, ::32].any() or tile.any()):
            source.confirm_black(level, row, col)
    except SlideError:
        raise
    except Exception as error:
        raise damaged(source, level, row, col, error) from error
    return tile


def damaged(source: TileSource, level: int, row: int, col: int, error: Exception) -> DamagedSlideError:
    """The one line about a tile that cannot be used."""
    text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return DamagedSlideError(
        f"{source.path}: tile row {row} col {col} of level {level} cannot be used ({text}); replace the file"
    )
