"""What a TIFF's headers say, read with tifffile; no pixel is decoded here."""

from __future__ import annotations

import logging
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from jsma.slides.formats.colours import APERIO_YCBCR, COLOURS, JPEG, JPEG2000
from jsma.slides.formats.descriptions import OVERLAPPING, Scale, describe, per_unit
from jsma.slides.formats.geometry import Pyramid, find_pyramid, size_of, tile_of
from jsma.slides.types import DamagedSlideError, Level, SlideError

TIFF_EXTENSIONS = (".svs", ".tif", ".tiff")
MAX_TILE_PX = 1 << 24  # every thread holds one
_mute, _muted = threading.Lock(), list[bool]()
_BROKEN_CHAIN = re.compile(r"corrupted (tag|page) list|invalid (page )?offset")
COMPRESSION_NAMES = {
    1: "none",
    5: "LZW",
    6: "old JPEG",
    7: "JPEG",
    8: "Deflate",
    32946: "Deflate",
    APERIO_YCBCR: "Aperio JPEG 2000 YCbCr",
    33005: "Aperio JPEG 2000 RGB",
    34712: "JPEG 2000",
    50000: "Zstandard",
    50001: "WebP",
    32773: "PackBits",
}


@dataclass(frozen=True)
class TiffFacts:
    """What the headers say of the main pyramid.

    Attributes:
        tiled: Whether it is stored in tiles.
        rgb8: Whether its pixels are 8-bit RGB, or become that in any JPEG decoder.
        subifd: Whether its levels are SubIFDs of the first page.
        padded: Whether its levels are filled up to whole tiles, which only their sizes tell.
        left_out: Number of pictures that are not marked as levels.
        compression: TIFF compression of every level.
        predictor: Whether a level has a predictor.
        levels: The levels, the finest first.
        tile_offsets: Per level, where each tile starts in the file, row by row; 0 for a tile that is not stored.
        tile_bytes: Per level, compressed bytes of each tile in the same order; 0 for a tile that is not stored.
        width0_px: Width of level 0.
        height0_px: Height of level 0.
        mpp: Rule -> micrometres per level-0 pixel in x and y.
        overlapping: Scanner whose tiles overlap, "" for any other.
        unserved: What is wrong with the kind of pixels, "" if there is a rule that makes them RGB.
    """

    tiled: bool
    rgb8: bool
    subifd: bool
    padded: bool
    left_out: int
    compression: tuple[int, ...]
    predictor: bool
    levels: tuple[Level, ...]
    tile_offsets: tuple[np.ndarray, ...]
    tile_bytes: tuple[np.ndarray, ...]
    width0_px: int
    height0_px: int
    mpp: dict[str, Scale]
    overlapping: str
    unserved: str

    @property
    def missing(self) -> tuple[int, ...]:
        """Per level, number of tiles for which nothing is stored: they are background."""
        return tuple(int((counts == 0).sum()) for counts in self.tile_bytes)

    @property
    def compressions(self) -> str:
        """Names of the compressions, each once."""
        return "/".join(dict.fromkeys(COMPRESSION_NAMES.get(c, f"compression {c}") for c in self.compression))


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what tifffile logs in the body, and keep it off the user's terminal.

    A list of pages that is cut short is only logged. Slides are opened in threads: each thread collects its own lines.
    """
    logger, said, here = logging.getLogger("tifffile"), [], threading.get_ident()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage()) if record.thread == here else None
    with _mute:
        _muted.append(logger.propagate)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield said
    finally:
        with _mute:
            logger.removeHandler(handler)
            before = _muted.pop()  # the last thread to leave takes out what the first found
            logger.propagate = before if not _muted else False


@contextmanager
def open_pyramid(path: str) -> Iterator[Pyramid]:
    """Open a slide whose headers were found to be in order, and find its pages and levels."""
    import tifffile

    with tifffile.TiffFile(path) as tif:
        said = describe(tif)
        yield find_pyramid(tif, said.spacings, said.vendor == "Aperio")


def inspect_tiff(path: str) -> TiffFacts:
    """Read the headers of a TIFF.

    Raises:
        DamagedSlideError: They are not those of a TIFF that can be read.
        GeometryError: They contradict each other.
    """
    import tifffile

    try:
        with _complaints() as said, tifffile.TiffFile(path) as tif:
            _check_chain(tif)
            facts = _facts(tif)
        broken = [text for text in said if _BROKEN_CHAIN.search(text)]
        if broken:
            raise ValueError(broken[0])
        return facts
    except SlideError as error:
        raise type(error)(f"{path}: {error}") from error
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        raise DamagedSlideError(
            f"{path}: the TIFF headers cannot be read ({text}); the file is cut short or not a TIFF, copy it again"
        ) from error


def _check_chain(tif: Any) -> None:
    """Follow the offsets from page to page, because tifffile says nothing of a chain that comes back to a page."""
    form, file, seen = tif.tiff, tif.filehandle, set()
    at = tif.pages[0].offset
    while at:
        if at in seen:
            raise ValueError(f"the chain of its {len(seen)} pages comes back to one of them")
        seen.add(at)
        file.seek(at)
        number = struct.unpack(form.tagnoformat, file.read(form.tagnosize))[0]
        file.seek(at + form.tagnosize + number * form.tagsize)
        at = struct.unpack(form.offsetformat, file.read(form.offsetsize))[0]


def _facts(tif: Any) -> TiffFacts:
    first = tif.pages[0]
    said = describe(tif)
    found = find_pyramid(tif, said.spacings, said.vendor == "Aperio")
    planar = int(first.planarconfig or 1) != 1
    ready = int(first.photometric) == 2 or int(first.photometric) == 6 and int(first.compression) in (*JPEG, *JPEG2000)
    rgb8 = first.samplesperpixel == 3 and first.bitspersample == 8 and ready and not planar
    for page in found.pages:
        across, down = (-(-px // side) for px, side in zip(size_of(page), tile_of(page), strict=True))
        if first.is_tiled and not planar and not len(page.dataoffsets) == len(page.databytecounts) == across * down:
            raise ValueError(f"{len(page.dataoffsets)} tile offsets where the size needs {across * down}")
    return TiffFacts(
        tiled=bool(first.is_tiled),
        rgb8=rgb8,
        subifd=found.subifd,
        padded=found.padded,
        left_out=found.left_out,
        compression=tuple(int(page.compression) for page in found.pages),
        predictor=any(int(page.predictor or 1) != 1 for page in found.pages),
        levels=found.levels,
        tile_offsets=tuple(_of_tiles(page, lv, page.dataoffsets) for page, lv in zip(*_pair(found), strict=True)),
        tile_bytes=tuple(_of_tiles(page, lv, page.databytecounts) for page, lv in zip(*_pair(found), strict=True)),
        width0_px=size_of(first)[0],
        height0_px=size_of(first)[1],
        mpp=said.mpp | _resolution(first),
        overlapping=said.vendor if said.vendor in OVERLAPPING else "",
        unserved=_unserved(first) or other_pictures(tif, said.stack),
    )


def _pair(found: Pyramid) -> tuple[tuple[Any, ...], tuple[Level, ...]]:
    return found.pages, found.levels


def _of_tiles(page: Any, level: Level, values: Any) -> np.ndarray:
    """Take, of one number per stored tile, those of the tiles of the level: there may be tiles of padding beyond."""
    array = np.asarray(values, dtype=np.int64)
    stored = -(-int(page.imagewidth) // level.tile_width_px)
    rows, columns = level.grid
    return array.reshape(-1, stored)[:rows, :columns].ravel() if page.is_tiled and len(array) % stored == 0 else array


def other_pictures(tif: Any, stack: str) -> str:
    """Say why page 0 is not the slide, or not alone; "" where it is."""
    if stack:
        return f"a TIFF of several pictures ({stack}), of which one would be read"
    width, height = size_of(tif.pages[0])
    for number, page in enumerate(tif.pages):
        other = size_of(page)
        if other[0] > width and other[1] > height:
            return (
                f"a TIFF whose first picture ({width}x{height} px) is smaller than that of page {number} "
                f"({other[0]}x{other[1]} px)"
            )
    return ""


def _unserved(page: Any) -> str:
    if not page.is_tiled:
        return ""  # decoded whole, by a loader that has rules for more kinds and refuses the rest
    colours = int(page.samplesperpixel) - len(page.extrasamples or ())
    if page.bitspersample != 8 or int(page.sampleformat or 1) != 1:
        return f"a TIFF of {page.bitspersample}-bit samples"
    if colours != COLOURS.get(int(page.photometric)) or (int(page.photometric) == 5 and page.compression in JPEG):
        return f"a TIFF with photometric interpretation {int(page.photometric)} and {colours} colours"
    if int(page.planarconfig or 1) != 1:
        return "a tiled TIFF with separate colour planes"
    turned = page.tags.get(274)
    if turned is not None and int(turned.value) > 1:
        return f"a TIFF that is to be turned by its Orientation tag ({int(turned.value)}), which readers heed or not,"
    if int(page.tilewidth) * int(page.tilelength) > MAX_TILE_PX:
        return f"a TIFF with tiles of {page.tilewidth}x{page.tilelength} px (at most {MAX_TILE_PX} px)"
    return ""


def _resolution(page: Any) -> dict[str, Scale]:
    tags = page.tags
    unit = {2: 25400.0, 3: 10000.0}.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2)
    x = per_unit(tags, "XResolution")
    return {"TIFF XResolution": (unit / x, unit / (per_unit(tags, "YResolution") or x))} if unit and x else {}
