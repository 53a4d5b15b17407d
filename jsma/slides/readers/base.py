"""What every reader is: which slides it is for, and a source of their decoded tiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from jsma.slides.types import DamagedSlideError, Level, SlideError

if TYPE_CHECKING:
    from jsma.slides.formats.tiff_headers import TiffFacts

FEW = 40  # a tile of less than this part of its pixels' bytes is held against the one before it


class TileSource(Protocol):
    """One open slide that decodes its stored tiles, one at a time and from several threads at once.

    Attributes:
        path: The file.
        levels: The stored resolutions, the finest first.
        held_bytes: Bytes of pixels that stay in memory while the source is open.
    """

    path: str
    levels: tuple[Level, ...]
    held_bytes: int

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """Decode one tile.

        Args:
            level: Index into `levels`.
            row: Row of the tile in the level's grid of tiles.
            col: Column of the tile in that grid.

        Returns:
            RGB pixels, uint8 [height, width, 3], cut at the edge of the level. They are valid until the next call
            of the same thread.

        Raises:
            Exception: Whatever the library raises. `read_checked` turns it into a DamagedSlideError.
        """
        ...

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """Raise unless the file itself says that a tile is black.

        It is asked for a tile whose pixels all came back as 0, because some libraries return that for damage.
        """
        ...

    def check(self, tiles: list[list[int]]) -> None:
        """Raise a DamagedSlideError if one of `tiles`, each (level, row, col), was damaged.

        It is asked at the end of every read, of the tiles that were decoded in it.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


@dataclass(frozen=True)
class SourceSpec:
    """All that a decoding process needs to open a source. It is small and can be pickled.

    Attributes:
        path: Absolute path of the file.
        reader: Name of the reader, of `READERS`.
        levels: The stored resolutions, () where the reader is to find them.
        stamp: (modification time in ns, size in bytes) of the file.
        decoder: One of `jsma.slides.types.DECODERS`.
    """

    path: str
    reader: str
    levels: tuple[Level, ...]
    stamp: tuple[int, int] = (0, 0)
    decoder: str = "cpu"


@dataclass(frozen=True)
class SlideFile:
    """What is known of a file before a reader is chosen.

    Attributes:
        path: Absolute path.
        extension: Lower case, with the dot.
        facts: What the headers of a TIFF say, None for any other file.
        in_process: Whether decoding is to run in this process.
    """

    path: str
    extension: str
    facts: TiffFacts | None
    in_process: bool = False


@dataclass(frozen=True)
class Geometry:
    """How large the pixels of a slide are.

    Attributes:
        levels: The stored resolutions, the finest first.
        scales: Rule of `jsma.slides.opening.mpp` -> micrometres per level-0 pixel in x and y.
        note: What else the user is told of the slide, "" for nothing.
    """

    levels: tuple[Level, ...]
    scales: dict[str, tuple[float, float]]
    note: str = ""


class Reader(ABC):
    """One way to decode slides.

    Attributes:
        name: Its key in `READERS`.
        description: One line for `jsma-bench list readers`.
        extensions: Extensions of the files that it reads besides TIFF, lower case with the dot.
        whole: Whether it decodes the file whole at the first read. Later reads then cost nothing.
        any_kind: Whether it turns every kind of pixels into RGB itself. It may then be asked to read a TIFF whose
            pixels no rule of ours turns into RGB.
        compared_with: Name of a reader that must see the same pixels when a slide is opened, and that takes over
            where this one fails and was not asked for. None: it is not compared.
        own_decoder: The one of `jsma.slides.types.DECODERS` that decodes every tile by the reader's own library.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]] = ()
    whole: ClassVar[bool] = False
    any_kind: ClassVar[bool] = False
    compared_with: ClassVar[str | None] = None
    own_decoder: ClassVar[str] = "cpu"

    @abstractmethod
    def suits(self, file: SlideFile) -> str:
        """Say in words why this reader is the one for `file` if no other is named; "" if it is not."""

    @abstractmethod
    def against(self, file: SlideFile) -> list[str]:
        """List in words what in `file` this reader gets wrong; empty if it can read the file."""

    @abstractmethod
    def open(self, spec: SourceSpec, chatter: str | None) -> TileSource:
        """Open a slide. It runs in the decoding process.

        Args:
            spec: The slide; its `reader` is this one.
            chatter: File that catches what native libraries print, None where nothing catches it.

        Raises:
            SlideError: The file cannot be opened.
        """

    def geometry(self, file: SlideFile, describe: Callable[[], dict[str, Any]]) -> Geometry:
        """Find the levels and the scale of a slide.

        Args:
            file: The slide.
            describe: Opens it in the decoding process and returns its "levels" and its "properties", a dict of texts.

        Returns:
            By default the levels that the source sees, and the scales that the headers of a TIFF give.
        """
        return Geometry(describe()["levels"], {} if file.facts is None else file.facts.mpp)


def tile_box(level: Level, row: int, col: int) -> tuple[int, int, int, int]:
    """Find x, y, width and height of a tile in pixels of its level, cut at the edge of the level."""
    x_px, y_px = col * level.tile_width_px, row * level.tile_height_px
    return (
        x_px,
        y_px,
        min(level.tile_width_px, level.width_px - x_px),
        min(level.tile_height_px, level.height_px - y_px),
    )


def read_checked(source: TileSource, level: int, row: int, col: int) -> np.ndarray:
    """Decode one tile, uint8 [height, width, 3].

    Raises:
        DamagedSlideError: The decoder complains, or the tile is black and the file does not say so.
    """
    try:
        tile = source.read_tile(level, row, col)
        if not (tile[-1, -1, 1] or tile[::32, ::32].any() or tile.any()):
            source.confirm_black(level, row, col)
    except SlideError:
        raise
    except Exception as error:
        raise damage_error(source, level, row, col, error) from error
    return tile


def damage_error(source: TileSource, level: int, row: int, col: int, error: Exception) -> DamagedSlideError:
    """Make the error for a tile that cannot be used."""
    text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return DamagedSlideError(
        f"{source.path}: tile row {row} col {col} of level {level} cannot be used ({text}); replace the file"
    )
