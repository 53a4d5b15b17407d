"""Readers: one file each, which says which slides it is for and decodes their stored tiles.

A reader is imported when it is needed, so that the decoding process loads the libraries of one reader only.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsma.slides.readers.base import Reader

READERS: dict[str, str] = {
    "openslide": "jsma.slides.readers.openslide:OpenslideReader",
    "cucim": "jsma.slides.readers.cucim:CucimReader",
    "tifffile": "jsma.slides.readers.tiff:TifffileReader",
    "array": "jsma.slides.readers.array:ArrayReader",
}
"""Name -> `module:Class`. Where no reader is named, the first one takes a slide that suits it and that it can read."""

__all__ = ["READERS", "reader_named"]


@cache
def reader_named(name: str) -> Reader:
    """Load the reader that `READERS` calls `name`."""
    module, cls = READERS[name].split(":")
    return getattr(import_module(module), cls)()
