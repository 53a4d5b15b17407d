"""What a TIFF's headers say, read with tifffile; no pixel is decoded here."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .plan import true_downsample
from .types import DamagedSlideError, Level

JPEG, JPEG2000 = (6, 7), (33003, 33004, 33005, 34712)
MAX_TILE_PX = 1 << 24  # every thread holds one
_BROKEN_CHAIN = re.compile(r"corrupted (tag|page) list|invalid (page )?offset")
COMPRESSION_NAMES = {
    1: "none", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "Deflate", 32946: "Deflate", 33003: "Aperio JPEG 2000 YCbCr",
    33005: "Aperio JPEG 2000 RGB", 34712: "JPEG 2000", 50000: "Zstandard", 50001: "WebP", 32773: "PackBits",
}  # fmt: skip


@dataclass(frozen=True)
class TiffFacts:
    """Header facts of the main pyramid; offsets and bytes are per level, tile by tile, row by row."""

    tiled: bool
    rgb8: bool
    subifd: bool
    compression: tuple[int, ...]
    predictor: bool
    levels: tuple[Level, ...]
    tile_offsets: tuple[np.ndarray, ...]
    tile_bytes: tuple[np.ndarray, ...]
    width0_px: int
    height0_px: int
    mpp: dict[str, tuple[float, float]]  # rule -> micrometres per pixel in x and y
    vendor: str
    unserved: str  # what is wrong with the kind of pixels, "" if they are 8-bit grey or RGB


def pyramid_pages(tif: Any) -> tuple[list[Any], bool]:
    """The tiled pages that form the pyramid, finest first, and whether they hang below page 0 as SubIFDs."""
    first = tif.pages[0]
    subifds = [page for page in (first.pages or ())] if first.subifds else []
    others = subifds or list(tif.pages)[1:]
    kept = [first]
    for page in others:
        page = page.aspage() if hasattr(page, "aspage") else page
        smaller = page.imagewidth < kept[-1].imagewidth and page.imagelength < kept[-1].imagelength
        same_kind = page.is_tiled and page.samplesperpixel == first.samplesperpixel
        if not (smaller and same_kind):
            continue
        scale = first.imagewidth / page.imagewidth
        if abs(first.imagelength / scale - page.imagelength) <= max(2.0, 0.01 * page.imagelength):
            kept.append(page)
    return kept, bool(subifds)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile logs meanwhile, kept off the user's terminal: a cut-short list of pages is only logged."""
    logger, said = logging.getLogger("tifffile"), []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def inspect_tiff(path: str) -> TiffFacts:
    """Read the headers; raises DamagedSlideError when they are not those of a readable TIFF."""
    import tifffile

    try:
        with _complaints() as said, tifffile.TiffFile(path) as tif:
            facts = _facts(tif)
        broken = [text for text in said if _BROKEN_CHAIN.search(text)]
        if broken:
            raise ValueError(broken[0])
        return facts
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        raise DamagedSlideError(
            f"{path}: the TIFF headers cannot be read ({text}); the file is cut short or not a TIFF, copy it again"
        ) from error


def _facts(tif: Any) -> TiffFacts:
    first = tif.pages[0]
    pages, subifd = pyramid_pages(tif) if first.is_tiled else ([first], False)
    width0, height0 = int(first.imagewidth), int(first.imagelength)
    levels = tuple(_level(page, width0, height0) for page in pages)
    planar = int(first.planarconfig or 1) != 1
    rgb8 = first.samplesperpixel == 3 and first.bitspersample == 8 and int(first.photometric) in (2, 6) and not planar
    for page, level in zip(pages, levels, strict=True):
        expected = level.grid[0] * level.grid[1]
        if first.is_tiled and not planar and not len(page.dataoffsets) == len(page.databytecounts) == expected:
            raise ValueError(f"{len(page.dataoffsets)} tile offsets where the size needs {expected}")
    return TiffFacts(
        tiled=bool(first.is_tiled),
        rgb8=rgb8,
        subifd=subifd,
        compression=tuple(int(page.compression) for page in pages),
        predictor=any(int(page.predictor or 1) != 1 for page in pages),
        levels=levels,
        tile_offsets=tuple(np.asarray(page.dataoffsets, dtype=np.int64) for page in pages),
        tile_bytes=tuple(np.asarray(page.databytecounts, dtype=np.int64) for page in pages),
        width0_px=width0,
        height0_px=height0,
        mpp=_mpp_candidates(first),
        vendor="Aperio" if tif.is_svs else "OME" if tif.is_ome else "generic",
        unserved=_unserved(first),
    )


def _unserved(page: Any) -> str:
    colours = int(page.samplesperpixel) - len(page.extrasamples or ())
    if page.bitspersample != 8 or int(page.sampleformat or 1) != 1:
        return f"a TIFF of {page.bitspersample}-bit samples"
    if int(page.photometric) not in (0, 1, 2, 6) or colours != (3 if int(page.photometric) in (2, 6) else 1):
        return f"a TIFF with photometric interpretation {int(page.photometric)} and {colours} colours"
    if page.is_tiled and int(page.planarconfig or 1) != 1:
        return "a tiled TIFF with separate colour planes"
    if page.is_tiled and int(page.tilewidth) * int(page.tilelength) > MAX_TILE_PX:
        return f"a TIFF with tiles of {page.tilewidth}x{page.tilelength} px (at most {MAX_TILE_PX} px)"
    return ""


def _level(page: Any, width0_px: int, height0_px: int) -> Level:
    width, height = int(page.imagewidth), int(page.imagelength)
    tile_width = int(page.tilewidth) if page.is_tiled else width
    tile_height = int(page.tilelength) if page.is_tiled else height
    return Level(width, height, true_downsample(width0_px, height0_px, width, height), tile_width, tile_height)


_OME_UNITS_UM = {"µm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}


def _mpp_candidates(page: Any) -> dict[str, tuple[float, float]]:
    text = str(page.description or "")
    found: dict[str, tuple[float, float]] = {}
    if text.startswith("Aperio") and (match := re.search(r"\bMPP\s*=\s*([\d.]+(?:[eE][-+]?\d+)?)", text)):
        found["Aperio MPP"] = (float(match[1]), float(match[1]))
    if "<OME" in text[:2000] and (x := _ome_um(text, "X")):
        found["OME PhysicalSizeX"] = (x, _ome_um(text, "Y") or x)
    tags = page.tags
    unit_um = {2: 25400.0, 3: 10000.0}.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 2)
    if unit_um and (x := _per_unit(tags, "XResolution")):
        found["TIFF XResolution"] = (unit_um / x, unit_um / (_per_unit(tags, "YResolution") or x))
    match = re.search(r"\bAppMag\s*=\s*([\d.]+)", text) or re.search(r'NominalMagnification="([\d.]+)"', text)
    if match and float(match[1]) > 0:
        found["objective power"] = (10.0 / float(match[1]), 10.0 / float(match[1]))
    return found


def _ome_um(text: str, axis: str) -> float | None:
    size = re.search(rf'PhysicalSize{axis}="([\d.eE+-]+)"', text)
    unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', text)
    scale = _OME_UNITS_UM.get((unit[1] if unit else "µm").replace("\u03bc", "µ"))
    return float(size[1]) * scale if size and scale else None


def _per_unit(tags: Any, name: str) -> float:
    top, bottom = tags[name].value if name in tags else (0, 0)
    return top / bottom if top > 0 and bottom > 0 else 0.0
