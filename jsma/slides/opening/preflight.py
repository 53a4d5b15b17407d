"""Cheap checks when a TIFF is opened: truncation, zeroed tiles, and two readers against each other."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from jsma.slides.formats.colours import JPEG
from jsma.slides.formats.tiff_headers import TiffFacts
from jsma.slides.readers import reader_named
from jsma.slides.readers.base import SourceSpec
from jsma.slides.reading.plan import make_plan
from jsma.slides.types import MAX_DIFFERENCE, DamagedSlideError, GeometryError, Regions, SlideError

ALL_TILES_BELOW = 2000  # levels with fewer tiles have every tile's first bytes looked at, others this many


def check_tiles(path: str, facts: TiffFacts) -> None:
    """Look for truncated and zeroed tiles, and for levels without any tile. Single tiles may be missing.

    Args:
        path: The TIFF.
        facts: What its headers say.

    Raises:
        DamagedSlideError: Some tiles are damaged; the message counts them.
    """
    size_bytes = os.path.getsize(path)
    for index, (offsets, counts) in enumerate(zip(facts.tile_offsets, facts.tile_bytes, strict=True)):
        beyond = int((offsets + counts > size_bytes).sum())
        if beyond:
            raise DamagedSlideError(
                f"{path}: {beyond} of {len(counts)} tiles of level {index} lie beyond the file's "
                f"{size_bytes} bytes; "
                "the file is cut short, copy it again"
            )
        nowhere = int(((counts > 0) & (offsets == 0)).sum())
        if nowhere or not counts.any():
            raise DamagedSlideError(
                f"{path}: {nowhere or len(counts)} of {len(counts)} tiles of level {index} are nowhere in the file; "
                "it was never finished, write or copy it again"
            )
        if facts.compression[index] in JPEG:
            _check_jpeg_heads(path, index, offsets[counts > 0])


def _check_jpeg_heads(path: str, index: int, offsets: np.ndarray) -> None:
    step = max(1, -(-len(offsets) // ALL_TILES_BELOW))
    looked = offsets[::step]
    with open(path, "rb", buffering=0) as handle:
        bad = 0
        for offset in looked.tolist():
            handle.seek(offset)
            bad += handle.read(2) != b"\xff\xd8"
    if bad:
        raise DamagedSlideError(
            f"{path}: {bad} of {len(looked)} JPEG tiles looked at in level {index} do not start as JPEG "
            "(zeroed or overwritten); copy the file again"
        )


def compare_readers(spec: SourceSpec, decoder: Any, mpp: float, may_fall_back: bool) -> str:
    """Compare three regions by the reader of `spec` with the same by the reader that it names in `compared_with`.

    Args:
        spec: The slide, its levels known.
        decoder: Decodes for both, as `jsma.slides.process.client.client` gives it.
        mpp: Micrometres per level-0 pixel.
        may_fall_back: Whether the other reader may take over.

    Returns:
        "", or, if `may_fall_back`, why this reader fails where the other does not.

    Raises:
        GeometryError: The reader sees levels of other sizes.
        DamagedSlideError: The other reader fails, or the pixels of the two are more than 3 grey levels apart.
    """
    level0, own = spec.levels[0], reader_named(spec.reader)
    side = min(64, level0.width_px, level0.height_px)
    size0 = np.array([level0.width_px, level0.height_px])
    coarse = [mpp, mpp, mpp * spec.levels[-1].downsample]
    regions = Regions(np.array([[0.5, 0.5], [0.3, 0.6], [0.5, 0.5]]) * size0, np.array(coarse), side, side)
    plan = make_plan(spec.levels, mpp, regions)
    shape = (len(regions), side, side, 3)
    theirs = decoder.read(replace(spec, reader=own.compared_with), plan, shape)
    try:
        # the reader's own pixels, of JPEG tiles too; signed, for a difference below 0
        ours = decoder.read(replace(spec, decoder=own.own_decoder), plan, shape).astype(np.int16)
    except SlideError as error:
        if not may_fall_back or isinstance(error, GeometryError):
            raise
        return str(error).removeprefix(f"{spec.path}: ")
    difference = float(np.abs(ours - theirs).mean(axis=(1, 2, 3)).max())
    if difference > MAX_DIFFERENCE:
        raise DamagedSlideError(
            f"{spec.path}: readers disagree ({spec.reader} and {own.compared_with} differ by {difference:.1f} grey "
            f"levels, at most {MAX_DIFFERENCE:g} allowed); name the right one with reader= and preflight=False"
        )
    return ""
