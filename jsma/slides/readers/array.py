"""A photo, or a TIFF without tiles, decoded whole: one tile over one array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from jsma.slides.readers.base import Geometry, Reader, SlideFile, SourceSpec
from jsma.slides.types import Level


class ArrayReader(Reader):
    """Photos, and TIFFs without tiles."""

    name: ClassVar[str] = "array"
    description: ClassVar[str] = "Pillow or tifffile: a photo or a TIFF without tiles, decoded whole at the first read"
    extensions: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".bmp")
    whole: ClassVar[bool] = True

    def suits(self, file: SlideFile) -> str:
        """See `Reader`."""
        if file.facts is not None:
            return "" if file.facts.tiled else "TIFF without tiles: decoded whole"
        return f"{file.extension} is a photo: decoded whole" if file.extension in self.extensions else ""

    def against(self, file: SlideFile) -> list[str]:
        """See `Reader`; what cannot be decoded whole is found out by decoding it."""
        return []

    def geometry(self, file: SlideFile, describe: Callable[[], dict[str, Any]]) -> Geometry:
        """See `Reader`; the note says how the pixels became RGB."""
        found = super().geometry(file, describe)
        return Geometry(found.levels, found.scales, describe()["properties"]["notes"])

    def open(self, spec: SourceSpec, chatter: str | None) -> ArraySource:
        """See `Reader`."""
        from jsma.slides.formats.photo import load_photo

        photo = load_photo(spec.path)
        return ArraySource(photo.pixels, spec.path, properties={"notes": "; ".join((photo.rule, *photo.notes))})


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
        """There is no file to close."""
