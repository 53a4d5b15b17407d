"""Tile sources: one small class per reader, each decoding one stored tile; used in the decoding process."""

from __future__ import annotations

from jsma.slides.formats.photo import load_photo
from jsma.slides.readers.array import ArraySource
from jsma.slides.readers.base import SourceSpec, TileSource
from jsma.slides.readers.tiff import TifffileSource


def open_source(spec: SourceSpec, chatter: str | None = None) -> TileSource:
    """Open the reader named in the spec; `chatter` is the file that native libraries print into, if there is one."""
    if spec.reader == "tifffile":
        return TifffileSource(spec)
    if spec.reader == "array":
        photo = load_photo(spec.path)
        return ArraySource(photo.pixels, spec.path, properties={"notes": "; ".join((photo.rule, *photo.notes))})
    from jsma.slides.readers.cucim import CucimSource, DirectSource
    from jsma.slides.readers.openslide import OpenslideSource

    if spec.reader == "openslide":
        return OpenslideSource(spec)
    return CucimSource(spec, chatter) if spec.decoder == "gpu" else DirectSource(spec, chatter)
